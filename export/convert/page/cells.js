/**
 * Compute one value of a volume by hand, from the values that its layer reads.
 *
 * @typedef {object} Cell
 * @property {number} map position of the feature map
 * @property {number} y
 * @property {number} x
 *
 * @typedef {object} Explained
 * @property {number} channel of the input that is shown
 * @property {number[][]} patch the values in the window, null outside of the volume
 * @property {number[][] | null} kernel
 * @property {number[][] | null} products
 * @property {number} part sum of the shown products
 * @property {number} sum of the products of all channels, or the result of a pooling
 * @property {number} bias
 * @property {number} result
 */

/**
 * Repeat the arithmetic of one cell. Of a convolution, the channel with the largest part is shown.
 * @param {import("#parts").Operation} operation
 * @param {{shape: number[], values: ArrayLike<number>}} input the volume that the layer reads
 * @param {{kernel: Float32Array, bias: Float32Array} | null} weights
 * @param {Cell} cell
 * @returns {Explained}
 */
export function explain(operation, input, weights, { map, y, x }) {
  const [height, width, depth] = input.shape;
  const top = y * operation.stride[0] - operation.before[0];
  const left = x * operation.stride[1] - operation.before[1];
  /** @param {number} channel */
  const patchOf = (channel) => {
    return inWindow(operation, (row, column) => {
      const [inY, inX] = [top + row, left + column];
      const isInside = inY >= 0 && inY < height && inX >= 0 && inX < width;
      return isInside ? input.values[(inY * width + inX) * depth + channel] : NaN;
    });
  };
  if (!weights || !operation.kernel) {
    const patch = patchOf(map);
    const inside = patch.flat().filter((value) => !Number.isNaN(value));
    const total = inside.reduce((sum, value) => sum + value, 0);
    const result = operation.kind === "max" ? Math.max(...inside) : total / inside.length;
    const none = { kernel: null, products: null, bias: 0 };
    return { channel: map, patch, ...none, part: result, sum: result, result };
  }
  const [, kernelHeight, kernelWidth, channels] = operation.kernel.shape;
  const isDepthwise = operation.kind === "depthwise";
  const read = isDepthwise ? [map] : Array.from({ length: depth }, (_, channel) => channel);
  const parts = read.map((channel) => {
    const patch = patchOf(channel);
    const kernel = inWindow(operation, (row, column) => {
      const filter = isDepthwise ? 0 : map;
      const place = (filter * kernelHeight + row) * kernelWidth + column;
      return weights.kernel[place * channels + channel];
    });
    const products = inWindow(operation, (row, column) => {
      return (patch[row][column] || 0) * kernel[row][column];
    });
    const part = products.flat().reduce((sum, product) => sum + product, 0);
    return { channel, patch, kernel, products, part };
  });
  const largest = parts.reduce((one, other) => {
    return Math.abs(other.part) > Math.abs(one.part) ? other : one;
  });
  const sum = parts.reduce((total, { part }) => total + part, 0);
  const bias = weights.bias[map];
  const result = operation.relu ? Math.max(0, sum + bias) : sum + bias;
  return { ...largest, sum, bias, result };
}

/**
 * Return a value for each place in the window.
 * @param {import("#parts").Operation} operation
 * @param {(row: number, column: number) => number} value
 * @returns {number[][]}
 */
function inWindow({ window: [height, width] }, value) {
  return Array.from({ length: height }, (_, row) => {
    return Array.from({ length: width }, (_, column) => value(row, column));
  });
}
