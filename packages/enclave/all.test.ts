import { testTogether } from "../../scripts/test-together.ts";

await testTogether(import.meta.dirname);
