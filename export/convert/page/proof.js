/**
 * What the exporter calls to compare this page with the Keras network: `page` in the console.
 */

import { decoded, facts } from "#parts";

/**
 * @param {import("#network").Network[]} networks
 */
export function proofOf(networks) {
  const { height, width, channels } = facts.preprocessing;
  const size = height * width * channels;

  /**
   * Split the images of a request.
   * @param {string} base64 uint8 pixels of some images, one after another
   */
  const images = (base64) => {
    const pixels = decoded(base64);
    const count = pixels.length / size;
    return Array.from({ length: count }, (_, at) => pixels.subarray(at * size, (at + 1) * size));
  };

  return {
    facts,

    /**
     * Return the logits of all images.
     * @param {number} at position of the network
     * @param {string} pixels base64
     */
    async logits(at, pixels) {
      const rows = [];
      for (const image of images(pixels)) rows.push(await networks[at].logits(image));
      return packed(rows);
    },

    /**
     * Return the name of each layer with its values for all images.
     * @param {number} at position of the network
     * @param {string} pixels base64
     */
    async volumes(at, pixels) {
      /** @type {Map<string, Float32Array>[]} */
      const answers = [];
      for (const image of images(pixels))
        answers.push((await networks[at].classify(image)).volumes);
      const all = facts.networks[at].volumes.map(async ({ name, output }) => {
        const own = answers.map((volumes) => /** @type {Float32Array} */ (volumes.get(output)));
        return [name, await packed(own)];
      });
      return Promise.all(all);
    },

    /**
     * Return how many seconds the network takes for all images.
     * @param {number} at position of the network
     * @param {string} pixels base64
     */
    async seconds(at, pixels) {
      const all = images(pixels);
      const begin = performance.now();
      for (const image of all) await networks[at].logits(image);
      return (performance.now() - begin) / 1000;
    },
  };
}

/**
 * Return numbers as base64 of float32 values, one array after another.
 * @param {Float32Array[]} arrays
 * @returns {Promise<string>}
 */
function packed(arrays) {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(",")[1] ?? "");
    reader.readAsDataURL(new Blob(/** @type {BlobPart[]} */ (arrays)));
  });
}
