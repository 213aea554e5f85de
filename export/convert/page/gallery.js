/**
 * Show test images that the user can choose.
 */

/**
 * Fill the areas of the gallery with a button for each image.
 * @param {import("#parts").Facts & {gallery: import("#parts").Gallery}} facts
 * @param {Uint8Array} pixels of all images, one after another
 * @param {{errors: HTMLElement, others: HTMLElement}} areas
 * @param {(image: Uint8Array, label: number) => void} choose
 */
export function showGallery({ gallery, labels, preprocessing }, pixels, areas, choose) {
  const { height, width, channels } = preprocessing;
  const size = height * width * channels;
  gallery.labels.forEach((label, at) => {
    const image = pixels.subarray(at * size, (at + 1) * size);
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    canvas.getContext("2d")?.putImageData(pixelsOf(image, width, channels), 0, 0);
    const button = document.createElement("button");
    button.type = "button";
    const predicted = labels[gallery.predicted[at]];
    const words = at < gallery.errors ? `${labels[label]}, not ${predicted}` : labels[label];
    button.append(canvas, words);
    button.ariaLabel = `test picture ${at + 1} of ${gallery.labels.length}, class ${words}`;
    button.addEventListener("click", () => choose(image, label));
    (at < gallery.errors ? areas.errors : areas.others).append(button);
  });
}

/**
 * Return an image of the network as a picture.
 * @param {Uint8Array} image row by row, the channels of a pixel together
 * @param {number} width
 * @param {number} channels 1 for grey, 3 for color
 * @returns {ImageData}
 */
export function pixelsOf(image, width, channels) {
  const picture = new ImageData(width, image.length / channels / width);
  for (let at = 0; at < image.length / channels; at++) {
    const pixel = image.subarray(at * channels, (at + 1) * channels);
    const color = channels === 1 ? [pixel[0], pixel[0], pixel[0]] : pixel;
    picture.data.set([...color, 255], 4 * at);
  }
  return picture;
}
