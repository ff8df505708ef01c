// What the conversation has covered and what is still open, as the analyst beside the agent keeps it.

import { css, html, LitElement, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import { harmless } from "../hidden.ts";
import * as icons from "../icons.ts";
import { base } from "../styles.ts";
import { filled, type Texts } from "../texts.ts";

export interface TopicLists {
  covered?: string[];
  open?: string[];
}

@customElement("parley-topics")
export class Topics extends LitElement {
  static override styles = [
    base,
    css`
      details {
        border-bottom: 1px solid var(--line);
        font-size: 0.8125rem;
      }
      summary {
        display: flex;
        align-items: center;
        gap: 0.6rem;
        min-height: 32px;
        padding: 0.2rem 1rem;
        color: var(--muted);
        cursor: pointer;
        list-style: none;
      }
      summary::-webkit-details-marker {
        display: none;
      }
      progress {
        flex: 1;
        height: 4px;
        accent-color: var(--accent);
      }
      details[open] .chevron {
        transform: rotate(180deg);
      }
      .lists {
        max-height: 40vh;
        overflow-y: auto;
        padding: 0 1rem 0.6rem;
      }
      h2 {
        margin: 0.4rem 0 0.1rem;
        font-size: 0.75rem;
        color: var(--muted);
      }
      ul {
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: flex;
        align-items: center;
        gap: 0.4rem;
      }
      .covered svg {
        color: var(--good);
      }
      .circle {
        width: 10px;
        height: 10px;
        margin: 3px;
        border: 2px solid var(--strong-line);
        border-radius: 50%;
      }
    `,
  ];

  @property({ attribute: false }) texts!: Texts;
  @property({ attribute: false }) topics: TopicLists | undefined;

  override render() {
    const { covered = [], open = [] } = this.topics ?? {};
    const counts = { done: covered.length, all: covered.length + open.length };
    if (!counts.done) return nothing; // nothing to look back on yet
    const text = filled(this.texts.topics, counts);
    return html`<details>
      <summary>
        <span>${text}</span><progress max=${counts.all} value=${counts.done} aria-hidden="true"></progress
        ><span class="chevron">${icons.chevron()}</span>
      </summary>
      <div class="lists">
        ${this.#list(this.texts.topicsCovered, covered, "covered", icons.check())}
        ${this.#list(this.texts.topicsOpen, open, "", html`<span class="circle"></span>`)}
      </div>
    </details>`;
  }

  #list(title: string, topics: string[], kind: string, mark: unknown) {
    if (!topics.length) return nothing;
    return html`<h2>${title}</h2>
      <ul class=${kind}>
        ${topics.map((topic) => html`<li>${mark}<span dir="auto">${harmless(topic)}</span></li>`)}
      </ul>`;
  }
}
