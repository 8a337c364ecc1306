import { GraphWriter } from "./graph-writer.ts";
import { fillUniform } from "./random.ts";

export interface ResNet50Options {
  /** The same seed gives the same bytes. Default 1. */
  readonly seed?: number;
  /** Height and width of the images; default 224. */
  readonly imageSize?: number;
  /** Divides all channel counts, for tests that need the structure but not the size. Default 1. */
  readonly widthDivisor?: number;
}

/** Blocks, channels of the 3x3 convolution and stride of each stage (He et al. 2015, table 1, column "50-layer"). */
const STAGES = [
  { blocks: 3, channels: 64, stride: 1 },
  { blocks: 4, channels: 128, stride: 2 },
  { blocks: 6, channels: 256, stride: 2 },
  { blocks: 3, channels: 512, stride: 2 },
] as const;

/** A block gives four times the channels of its 3x3 convolution. */
const EXPANSION = 4;
const CLASSES = 1001;
const EPSILON = 1e-5;

interface Convolution {
  readonly input: string;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride: number;
  /** Mean of the normalization's scale: small where the result is added to a shortcut, so that sums do not grow. */
  readonly scale?: number;
}

/**
 * A frozen GraphDef of ResNet-50 v1.5 (the stride is in the 3x3 convolution) with random weights: input `input`
 * [N, size, size, 3] float in NHWC, output `predict` [N, 1001], a softmax. Weights are scaled so that activations of inputs of
 * about unit variance neither vanish nor grow. About 102 MB at full width.
 */
export function generateResNet50(options: ResNet50Options = {}): Uint8Array {
  return new ResNet50Writer(options).write();
}

class ResNet50Writer {
  readonly #graph = new GraphWriter();
  readonly #seed: number;
  readonly #imageSize: number;
  readonly #divisor: number;
  #convolutions = 0;
  #additions = 0;
  #constants = 0;

  constructor({ seed = 1, imageSize = 224, widthDivisor = 1 }: ResNet50Options) {
    this.#seed = seed;
    this.#imageSize = imageSize;
    this.#divisor = widthDivisor;
  }

  write(): Uint8Array {
    const size = this.#imageSize;
    const image = this.#graph.node("input", "Placeholder", [], {
      dtype: { type: "float" },
      shape: { shape: [-1, size, size, 3] },
    });
    const stem = this.#stem(image);
    let features = { name: stem, channels: this.#width(64) };
    for (const stage of STAGES) {
      for (let block = 0; block < stage.blocks; block++) {
        features = this.#block(features, this.#width(stage.channels), block === 0 ? stage.stride : 1, block === 0);
      }
    }
    this.#head(features.name, features.channels);
    return this.#graph.finish();
  }

  #width(channels: number): number {
    return Math.max(Math.floor(channels / this.#divisor), 1);
  }

  #stem(image: string): string {
    const input = this.#pad(image, 3);
    const normal = this.#normalized({ input, inChannels: 3, outChannels: this.#width(64), kernel: 7, stride: 2 });
    return this.#graph.node("max_pooling2d/MaxPool", "MaxPool", [this.#relu(normal)], {
      T: { type: "float" },
      ksize: { ints: [1, 3, 3, 1] },
      strides: { ints: [1, 2, 2, 1] },
      padding: { string: "SAME" },
      data_format: { string: "NHWC" },
    });
  }

  #block(
    from: { name: string; channels: number },
    channels: number,
    stride: number,
    hasProjection: boolean,
  ): { name: string; channels: number } {
    const outChannels = channels * EXPANSION;
    const { name: input, channels: inChannels } = from;
    const shortcut = hasProjection
      ? this.#normalized({ input, inChannels, outChannels, kernel: 1, stride, scale: 0.8 })
      : input;
    const reduced = this.#relu(this.#normalized({ input, inChannels, outChannels: channels, kernel: 1, stride: 1 }));
    const source = stride === 1 ? reduced : this.#pad(reduced, 1);
    const middle = this.#relu(
      this.#normalized({ input: source, inChannels: channels, outChannels: channels, kernel: 3, stride }),
    );
    const wide = this.#normalized({
      input: middle,
      inChannels: channels,
      outChannels,
      kernel: 1,
      stride: 1,
      scale: 0.3,
    });
    const sum = this.#graph.node(this.#numbered("add", this.#additions++), "Add", [wide, shortcut], {
      T: { type: "float" },
    });
    return { name: this.#relu(sum), channels: outChannels };
  }

  /** Zeros around height and width, explicitly: strided convolutions do not use SAME, which would shift them by a pixel. */
  #pad(input: string, size: number): string {
    const name = `${input}/Pad`;
    const paddings = this.#graph.ints(`${name}/paddings`, [4, 2], [0, 0, size, size, size, size, 0, 0]);
    return this.#graph.node(name, "Pad", [input, paddings], { T: { type: "float" }, Tpaddings: { type: "int32" } });
  }

  #normalized({ input, inChannels, outChannels, kernel, stride, scale = 1 }: Convolution): string {
    const index = this.#convolutions++;
    const name = this.#numbered("conv2d", index);
    const deviation = Math.sqrt(2 / (kernel * kernel * inChannels));
    const weights = this.#weights(`${name}/kernel`, [kernel, kernel, inChannels, outChannels], 0, deviation);
    const images = this.#graph.node(`${name}/Conv2D`, "Conv2D", [input, weights], {
      T: { type: "float" },
      strides: { ints: [1, stride, stride, 1] },
      dilations: { ints: [1, 1, 1, 1] },
      padding: { string: stride === 1 ? "SAME" : "VALID" },
      data_format: { string: "NHWC" },
      use_cudnn_on_gpu: { bool: true },
    });
    const norm = this.#numbered("batch_normalization", index);
    const parameters = [
      this.#weights(`${norm}/gamma`, [outChannels], scale, 0.1 * scale),
      this.#weights(`${norm}/beta`, [outChannels], 0, 0.1),
      this.#weights(`${norm}/moving_mean`, [outChannels], 0, 0.1),
      this.#weights(`${norm}/moving_variance`, [outChannels], 1.5, 0.2),
    ];
    return this.#graph.node(`${norm}/FusedBatchNorm`, "FusedBatchNormV3", [images, ...parameters], {
      T: { type: "float" },
      U: { type: "float" },
      epsilon: { float: EPSILON },
      is_training: { bool: false },
      data_format: { string: "NHWC" },
    });
  }

  #head(features: string, channels: number): void {
    const axes = this.#graph.ints("Mean/reduction_indices", [2], [1, 2]);
    const types = { T: { type: "float" }, Tidx: { type: "int32" } } as const;
    const pooled = this.#graph.node("Mean", "Mean", [features, axes], { ...types, keep_dims: { bool: true } });
    const rows = this.#graph.node("Squeeze", "Squeeze", [pooled], {
      T: { type: "float" },
      squeeze_dims: { ints: [1, 2] },
    });
    const kernel = this.#weights("dense/kernel", [channels, CLASSES], 0, Math.sqrt(4 / channels));
    const transposes = { transpose_a: { bool: false }, transpose_b: { bool: false } } as const;
    const products = this.#graph.node("dense/MatMul", "MatMul", [rows, kernel], {
      T: { type: "float" },
      ...transposes,
    });
    const bias = this.#weights("dense/bias", [CLASSES], 0, 0.1);
    const format = { data_format: { string: "NHWC" } } as const;
    const logits = this.#graph.node("dense/BiasAdd", "BiasAdd", [products, bias], { T: { type: "float" }, ...format });
    this.#graph.node("predict", "Softmax", [logits], { T: { type: "float" } });
  }

  #relu(input: string): string {
    return this.#graph.node(`${input}/Relu`, "Relu", [input], { T: { type: "float" } });
  }

  /** TensorFlow's way of telling layers of one kind apart: the first has no number. */
  #numbered(name: string, index: number): string {
    return index === 0 ? name : `${name}_${index}`;
  }

  #weights(name: string, shape: readonly number[], mean: number, deviation: number): string {
    // Each constant has its own stream, so that one layer's size does not change the others' weights.
    const seed = Math.imul(this.#seed, 0x01000193) ^ Math.imul(++this.#constants, 0x85ebca6b);
    return this.#graph.floats(name, shape, (target) => {
      fillUniform(target, seed, mean, deviation);
    });
  }
}
