/**
 * Show the logits and probabilities of all classes.
 */

export class AnswerTable {
  /**
   * @param {HTMLTableElement} table
   * @param {string[]} labels
   */
  constructor(table, labels) {
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
   * Show an answer.
   * @param {Float32Array} logits
   * @param {Float32Array} probabilities
   * @param {number} largest position of the class
   */
  show(logits, probabilities, largest) {
    this.rows.forEach(({ row, probability, bar, logit }, at) => {
      row.className = at === largest ? "largest" : "";
      probability.textContent = percent(probabilities[at]);
      bar.style.width = `${100 * probabilities[at]}%`;
      const digits = Math.abs(logits[at]) < 1000 ? 2 : 0;
      logit.textContent = logits[at].toLocaleString("en", {
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
      });
    });
  }
}

/**
 * Return a share as in zoo.predict.
 * @param {number} share
 * @param {number} [digits] after the point
 */
export function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)} %`;
}
