/**
 * One network of the page: its answer, and its volumes.
 *
 * @typedef {import("#parts").Volume} Volume
 * @typedef {import("#network").Answer} Answer
 */

import { AnswerTable, percent } from "#answer";
import { Blocks } from "#blocks";
import { softmax } from "#network";
import { facts } from "#parts";

/** @type {Volume} */
const input = {
  name: "image",
  kind: "image",
  lines: ["pixels"],
  shape: [facts.preprocessing.height, facts.preprocessing.width, facts.preprocessing.channels],
  output: "image",
  operation: null,
};

export class View {
  /** @type {Map<string, Float32Array>} the values of all volumes, by output; empty without an answer */
  values = new Map();

  /**
   * @param {import("#parts").Description} description
   * @param {HTMLTemplateElement} template of the answer
   * @param {(view: View, volume: Volume) => void} open called with the volume that the user opens
   */
  constructor(description, template, open) {
    this.description = description;
    this.answer = /** @type {HTMLElement} */ (template.content.cloneNode(true)).children[0];
    this.part("h3").textContent = description.name;
    this.part(".story").textContent = story(description);
    this.table = new AnswerTable(this.part("table"), facts.labels);
    this.volumes = document.createElement("div");
    const [heading, area] = [document.createElement("h3"), document.createElement("div")];
    heading.textContent = description.name;
    area.className = "scrolling";
    area.tabIndex = 0;
    area.role = "group";
    area.ariaLabel = `The volumes of ${description.name}`;
    this.volumes.append(heading, area);
    const all = [input, ...description.volumes];
    this.blocks = new Blocks(area, all, (volume) => open(this, volume));
  }

  /**
   * @template {HTMLElement} [E=HTMLElement]
   * @param {string} selector of an element of the answer
   * @returns {E}
   */
  part(selector) {
    return /** @type {E} */ (this.answer.querySelector(selector));
  }

  /**
   * Show an answer, and return the name of the class.
   * @param {Answer} answer
   * @param {Uint8Array} image
   * @param {number | null} label the right class, if it is known
   * @param {Answer} first the answer of the first network of the page
   */
  show({ logits, volumes, milliseconds }, image, label, first) {
    const [largest, expected] = [logits, first.logits].map((row) => row.indexOf(Math.max(...row)));
    const probabilities = softmax(logits);
    const lines = [`${milliseconds.toFixed(1)} ms in the network`];
    if (label !== null) lines.push(`cost ${cost(logits, label)} for ${facts.labels[label]}`);
    if (logits !== first.logits) {
      const difference = logits.reduce((most, logit, at) => {
        return Math.max(most, Math.abs(logit - first.logits[at]));
      }, 0);
      const name = facts.networks[0].name;
      lines.push(`a logit differs from that of ${name} by up to ${short(difference)}`);
    }
    this.values = new Map([...volumes, [input.output, Float32Array.from(image)]]);
    this.table.show(logits, probabilities, largest);
    this.blocks.show(this.values);
    const differs = largest !== expected;
    const verdict = `${facts.labels[largest]} (${percent(probabilities[largest])})`;
    this.answer.classList.toggle("differs", differs);
    this.part(".verdict").textContent = differs ? `${verdict}, another class` : verdict;
    this.part(".time").textContent = lines.join("; ");
    return facts.labels[largest];
  }

  /** Show no answer. */
  clear() {
    this.values = new Map();
    this.table.clear();
    this.blocks.clear();
    this.answer.classList.remove("differs");
    for (const selector of [".verdict", ".time"]) this.part(selector).textContent = "";
  }

  /**
   * Return the volume that a layer reads, with its values.
   * @param {Volume} volume the result of the layer
   */
  read({ operation }) {
    const all = [input, ...this.description.volumes];
    const read = all.find(({ output }) => output === operation?.reads);
    const values = read && this.values.get(read.output);
    return read && values ? { shape: read.shape, values } : null;
  }
}

/**
 * Return what is known about a network in one line.
 * @param {import("#parts").Description} description
 */
export function story({ story, format, parameters, test }) {
  const kind = format === "float32" ? "" : `, format ${format}`;
  const right = `${percent(test.correct / test.count, 2)} of ${grouped(test.count)} test images`;
  const size = `${grouped(parameters)} parameters${kind}`;
  return `${story}, ${size}. In Keras: ${right}, cost ${short(test.cost)}.`;
}

/**
 * Return the softmax cross-entropy of a label.
 * @param {Float32Array} logits
 * @param {number} label
 */
function cost(logits, label) {
  const largest = Math.max(...logits);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return short(largest + Math.log(sum) - logits[label]);
}

/** @param {number} count */
function grouped(count) {
  return count.toLocaleString("en");
}

/** @param {number} value 0 or more */
function short(value) {
  if (value >= 100) return grouped(Math.round(value));
  return value === 0 || value >= 0.001 ? value.toPrecision(3) : value.toExponential(1);
}
