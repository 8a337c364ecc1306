export { type Downloaded, download, type DownloadOptions } from "./download.ts";
export { type FetchedModel, fetchModel, MODEL_SOURCES, type ModelSource } from "./fetch-model.ts";
export { type Pins, readPins } from "./pins.ts";
