// What the assistant does between its words, as the customer would say it; open it to see what was done.

import { css, html, LitElement, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import { harmless } from "../hidden.ts";
import * as icons from "../icons.ts";
import { base } from "../styles.ts";
import { filled, type Texts } from "../texts.ts";
import type { Tool } from "../types.ts";

@customElement("parley-activity")
export class Activity extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        color: var(--muted);
        font-size: 0.8125rem;
      }
      summary {
        display: inline-flex;
        align-items: center;
        gap: 0.35rem;
        min-height: 28px;
        padding: 0.1rem 0.5rem;
        margin-inline-start: -0.5rem;
        border-radius: 8px;
        cursor: pointer;
        list-style: none;
      }
      summary::-webkit-details-marker {
        display: none;
      }
      summary:hover {
        background: var(--raised);
        color: var(--text);
      }
      details[open] .chevron {
        transform: rotate(180deg);
      }
      ul {
        margin: 0.2rem 0 0.4rem;
        padding: 0 0 0 0.25rem;
        list-style: none;
      }
      li {
        display: flex;
        gap: 0.4rem;
        padding: 0.1rem 0;
      }
      li svg {
        margin-top: 0.1rem;
      }
      .ok {
        color: var(--good);
      }
      .bad {
        color: var(--bad);
      }
      .turning {
        width: 12px;
        height: 12px;
        border: 2px solid var(--line);
        border-top-color: var(--link);
        border-radius: 50%;
        animation: turn 0.8s linear infinite;
      }
      @keyframes turn {
        to {
          transform: rotate(1turn);
        }
      }
    `,
  ];

  @property({ attribute: false }) texts!: Texts;
  @property({ attribute: false }) tools: Tool[] = [];

  override render() {
    const running = this.tools.findLast((tool) => tool.status === "running");
    const name = running ? (harmless(running.title ?? "") || this.texts.working) : this.#summary();
    const [kind, icon] = this.#outcome(this.#worst());
    return html`<details>
      <summary>
        ${running ? html`<span class="turning"></span>` : html`<span class=${kind}>${icon}</span>`}<span dir="auto">${name}</span
        ><span class="chevron">${icons.chevron()}</span>
      </summary>
      <ul>
        ${this.tools.map((tool) => this.#line(tool))}
      </ul>
    </details>`;
  }

  /** What one should look into, if anything. */
  #worst(): string {
    return (this.tools.find((tool) => tool.status !== "ok") ?? this.tools[0]!).status;
  }

  #summary(): string {
    const n = this.tools.length;
    return n === 1 ? harmless(this.tools[0]!.title ?? "") || this.texts.doneOne : filled(this.texts.done, { n });
  }

  #line(tool: Tool) {
    const [kind, icon, word] = this.#outcome(tool.status);
    return html`<li>
      <span class=${kind}>${icon}</span>
      <span dir="auto">${harmless(tool.title ?? "") || (kind === "ok" ? this.texts.doneOne : this.texts.working)}${word ? ` – ${word}` : nothing}</span>
    </li>`;
  }

  #outcome(status: string): [string, unknown, string] {
    switch (status) {
      case "running":
        return ["", icons.chevron(), ""];
      case "ok":
        return ["ok", icons.check(), ""];
      case "refused":
        return ["", icons.cross(), this.texts.refused];
      case "unknown":
        return ["bad", icons.question(), this.texts.unknown];
      default:
        return ["bad", icons.cross(), this.texts.failed];
    }
  }
}
