/**
 * Run a network with LiteRT.js.
 *
 * @typedef {object} Answer
 * @property {Float32Array} logits
 * @property {Map<string, Float32Array>} volumes the values of each layer, by its output
 * @property {number} milliseconds
 */

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { facts, unpacked } from "#parts";

/**
 * Load the networks of this page.
 */
export async function load() {
  const [loader, wasmBinary] = await Promise.all([unpacked("loader"), unpacked("runtime")]);
  // The loader takes the runtime from here, instead of a server; its messages are for developers.
  Object.assign(self, { Module: { wasmBinary, printErr() {} } });
  const url = URL.createObjectURL(new Blob([loader], { type: "text/javascript" }));
  await loadLiteRt(`${url}#.js`); // the name must end so
  URL.revokeObjectURL(url);
  const networks = [];
  for (const [at, { volumes }] of facts.networks.entries()) {
    const file = await unpacked(`model${at}`);
    const compiled = await loadAndCompile(file, { accelerator: "wasm" });
    networks.push(new Network(compiled, file, volumes));
  }
  return networks;
}

export class Network {
  /**
   * @param {import("@litertjs/core").CompiledModel} compiled
   * @param {Uint8Array} file
   * @param {import("#parts").Volume[]} volumes
   */
  constructor(compiled, file, volumes) {
    this.compiled = compiled;
    this.file = file;
    this.volumes = volumes;
    const { height, width, channels } = facts.preprocessing;
    this.shape = [1, height, width, channels];
  }

  /**
   * Compute the logits of one image, and the values of every layer.
   * @param {Uint8Array} image row by row, the channels of a pixel together, 0 to 255
   * @returns {Promise<Answer>}
   */
  async classify(image) {
    const [outputs, milliseconds] = await this.run(image);
    const volumes = this.volumes.map(({ output }) => {
      return /** @type {[string, Float32Array]} */ ([output, values(outputs[output])]);
    });
    const answer = { logits: values(outputs.logits), volumes: new Map(volumes), milliseconds };
    for (const output of Object.values(outputs)) output.delete();
    return answer;
  }

  /**
   * Compute the logits of one image, as `classify` does, without reading the other results.
   * @param {Uint8Array} image
   * @returns {Promise<Float32Array>}
   */
  async logits(image) {
    const [outputs] = await this.run(image);
    const logits = values(outputs.logits);
    for (const output of Object.values(outputs)) output.delete();
    return logits;
  }

  /**
   * Run the LiteRT file; the caller deletes the outputs.
   * @param {Uint8Array} image
   * @returns {Promise<[Record<string, Tensor>, number]>} the outputs by name, and milliseconds
   */
  async run(image) {
    const input = new Tensor(Float32Array.from(image), this.shape);
    const begin = performance.now();
    const outputs = await this.compiled.run({ image: input });
    const milliseconds = performance.now() - begin;
    input.delete();
    return [outputs, milliseconds];
  }

  /**
   * Return the numbers of a kernel or a bias.
   * @param {import("#parts").Weights} weights
   * @returns {Float32Array}
   */
  weights({ offset, shape }) {
    const count = shape.reduce((product, size) => product * size, 1);
    return new Float32Array(this.file.slice(offset, offset + 4 * count).buffer);
  }
}

/**
 * Return a copy of the numbers of a tensor.
 * @param {Tensor} tensor
 * @returns {Float32Array}
 */
function values(tensor) {
  return Float32Array.from(tensor.toTypedArray());
}

/**
 * Return the probability of each class.
 * @param {Float32Array} logits
 * @returns {Float32Array}
 */
export function softmax(logits) {
  const largest = Math.max(...logits);
  const exponentials = logits.map((logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}
