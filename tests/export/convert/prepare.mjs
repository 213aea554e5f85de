// Prepare pictures with the page's own code: node prepare.mjs FOLDER
// FOLDER has request.json, and the pixels of picture N as red, green, blue, opacity in N.rgba.
import { readFileSync } from "node:fs";
import { prepareEach } from "../../../export/convert/page/preprocessing.js";

const folder = process.argv[2];
const { wanted, sizes } = JSON.parse(readFileSync(`${folder}/request.json`, "utf8"));
const answers = sizes.map(([width, height], at) => {
  const data = readFileSync(`${folder}/${at}.rgba`);
  return prepareEach({ width, height, data }, wanted).map(({ image, ...facts }) => {
    return { image: [...image], ...facts };
  });
});
console.log(JSON.stringify(answers));
