/**
 * What the exporter put into the page: facts, the networks, and LiteRT.js.
 *
 * @typedef {object} Weights
 * @property {number} offset first byte in the LiteRT file, of float32 numbers
 * @property {number[]} shape
 *
 * @typedef {object} Volume the result of a layer
 * @property {string} name of the layer
 * @property {"image" | "conv" | "pool" | "dense"} kind
 * @property {string[]} lines what the layer does, in short lines
 * @property {[number, number, number]} shape height, width and depth
 * @property {string} output name of the output of the LiteRT file that holds its values
 * @property {Operation | null} operation how a cell is computed, if the page can show it
 *
 * @typedef {object} Operation as export/litert/operations.py describes it
 * @property {"conv" | "depthwise" | "max" | "average"} kind
 * @property {string} reads output of the volume that the layer reads, or "image"
 * @property {[number, number]} window height and width
 * @property {[number, number]} stride down and to the right
 * @property {[number, number]} before rows above and columns left of the volume in the first window
 * @property {boolean} relu whether negative results become zero
 * @property {Weights | null} kernel [filters, height, width, channels], of a depthwise convolution
 *   [1, height, width, filters]
 * @property {Weights | null} bias [filters]
 *
 * @typedef {object} Description of a network
 * @property {string} name
 * @property {string} story where its weights come from, in one line
 * @property {string} format of the LiteRT file: "float32", "float16" or "dynamic"
 * @property {number} parameters
 * @property {{correct: number, count: number, cost: number}} test results of the Keras network on
 *   the test images
 * @property {Volume[]} volumes
 *
 * @typedef {object} Facts
 * @property {string[]} labels the classes, in the order of the logits
 * @property {import("#preprocessing").Preprocessing} preprocessing
 * @property {Description[]} networks the exported one, and those beside it
 * @property {Gallery | null} gallery
 *
 * @typedef {object} Gallery test images that the user can choose
 * @property {string} source dataset and licence, in one line
 * @property {number} errors how many of the first images Keras classifies wrongly
 * @property {number[]} labels classes of the images
 * @property {number[]} predicted classes that Keras predicts
 */

/** @type {Facts} */
export const facts = JSON.parse(text("facts"));

/**
 * Return the bytes of a part of the page.
 * @param {`model${number}` | "loader" | "runtime" | "pictures"} name
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function unpacked(name) {
  const stream = new Blob([decoded(text(name))])
    .stream()
    .pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Return the bytes of a text in base64.
 * @param {string} base64
 */
export function decoded(base64) {
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  // A call of a function for each of the millions of letters would take several times as long.
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  return bytes;
}

/**
 * Return the text of an element.
 * @param {string} id
 */
function text(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id)).textContent ?? "";
}
