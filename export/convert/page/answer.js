/**
 * Show the logits and probabilities of all classes.
 */

import { softmax } from "#network";

export class AnswerTable {
  /**
   * @param {HTMLTableElement} table
   * @param {string[]} labels
   */
  constructor(table, labels) {
    this.labels = labels;
    this.rows = labels.map((label) => {
      const row = table.tBodies[0].insertRow();
      const name = document.createElement("th");
      name.scope = "row";
      name.textContent = label;
      row.append(name);
      const [probability, track, logit] = [0, 1, 2].map(() => row.insertCell());
      const bar = document.createElement("div");
      const background = document.createElement("div");
      background.className = "track";
      background.append(bar);
      track.append(background);
      return { row, probability, bar, logit };
    });
    this.clear();
  }

  /** Show no answer. */
  clear() {
    for (const { row, probability, bar, logit } of this.rows) {
      row.className = probability.textContent = logit.textContent = "";
      bar.style.width = "0";
    }
  }

  /**
   * Show an answer, and return it in words.
   * @param {Float32Array} logits
   * @returns {string}
   */
  show(logits) {
    const probabilities = softmax(logits);
    const largest = logits.indexOf(Math.max(...logits));
    this.rows.forEach(({ row, probability, bar, logit }, at) => {
      row.className = at === largest ? "largest" : "";
      probability.textContent = percent(probabilities[at]);
      bar.style.width = `${100 * probabilities[at]}%`;
      logit.textContent = logits[at].toFixed(2);
    });
    return `${this.labels[largest]} (${percent(probabilities[largest])})`;
  }
}

/**
 * Return a share as in zoo.predict.
 * @param {number} share
 */
function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
