/**
 * Read picture files that the user chooses, drops or pastes.
 */

const MOST_PIXELS = 1 << 27;

/**
 * Call a function with each file that the user gives.
 * @param {HTMLElement} area where files can be dropped
 * @param {HTMLInputElement} input
 * @param {(file: File) => void} take
 */
export function onPicture(area, input, take) {
  /** @param {FileList | undefined} files */
  const first = (files) => {
    if (files?.length) take(files[0]);
  };
  input.addEventListener("change", () => {
    first(input.files ?? undefined);
    input.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", (event) => first(event.clipboardData?.files));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    area.classList.add("over");
  });
  document.addEventListener("dragleave", () => area.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    first(event.dataTransfer?.files);
  });
}

/**
 * Return the pixels of a picture file, upright.
 * @param {File} file
 * @returns {Promise<ImageData>}
 * @throws {Error} the file is not a picture that this browser reads, or it is too large
 */
export async function read(file) {
  const bitmap = await createImageBitmap(file, {
    imageOrientation: "from-image",
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  }).catch(() => {
    throw new Error(`${file.name} is not a picture that this browser can read`);
  });
  const { width, height } = bitmap;
  try {
    if (width * height > MOST_PIXELS) {
      throw new Error(`${file.name} is too large: ${width}x${height} pixels`);
    }
    const context = new OffscreenCanvas(width, height).getContext("2d");
    if (!context) throw new Error(`${file.name} is too large for this browser`);
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, width, height);
  } finally {
    bitmap.close();
  }
}
