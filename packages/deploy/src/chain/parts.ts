// `@cloister/deploy/chain-parts`: the model and its recorded answers, where the rest of the chain runs elsewhere.
export { importStep } from "./model.ts";
export { loadSamples } from "./samples.ts";
