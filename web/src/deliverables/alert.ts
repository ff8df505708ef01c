// One thing the customer should not miss.

import { css, html, nothing } from "lit";
import { customElement } from "lit/decorators.js";
import { DeliverableElement } from "../deliverable.ts";
import { harmless } from "../hidden.ts";
import * as icons from "../icons.ts";

interface AlertPayload {
  level: "info" | "success" | "warning" | "danger";
  title: string;
  text: string;
}

const SIGNS = { info: icons.info, success: icons.tick, warning: icons.alarm, danger: icons.alarm };

@customElement("parley-display-alert")
export class AlertElement extends DeliverableElement<AlertPayload> {
  static override styles = [
    ...DeliverableElement.styles,
    css`
      .alert {
        --tone: var(--link);
        display: grid;
        grid-template-columns: auto 1fr auto;
        gap: 0.15rem 0.75rem;
        align-items: start;
        padding: 0.85rem 1rem;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--tint);
      }
      .success {
        --tone: var(--good);
        background: var(--good-ground);
      }
      .warning {
        --tone: var(--warn);
        background: var(--warn-ground);
      }
      .danger {
        --tone: var(--bad);
        background: var(--bad-ground);
      }
      .sign,
      .eyebrow {
        color: var(--tone);
      }
      .words {
        min-width: 0;
      }
      h2 {
        margin: 0;
        font-size: 1rem;
      }
      .eyebrow {
        display: block;
        font-size: 0.75rem;
        font-weight: 600;
      }
      p {
        margin: 0.25rem 0 0;
      }
      button {
        min-height: 32px;
        padding: 0.15rem 0.7rem;
        border-color: transparent;
        background: transparent;
        color: var(--tone);
        font-size: 0.875rem;
        font-weight: 600;
      }
    `,
  ];

  protected override content(alert: AlertPayload) {
    const { texts } = this;
    const level = {
      info: texts.alertInfo,
      success: texts.alertSuccess,
      warning: texts.alertWarning,
      danger: texts.alertDanger,
    }[alert.level];
    return html`<section class="alert ${alert.level}" aria-labelledby="title" tabindex="-1">
      <span class="sign">${SIGNS[alert.level]()}</span>
      <div class="words">
        <h2 id="title"><span class="eyebrow">${level}</span><span dir="auto">${harmless(alert.title)}</span></h2>
        <p dir="auto">${harmless(alert.text)}</p>
        ${this.note ? html`<p role="alert">${this.note}</p>` : nothing}
      </div>
      ${this.open ? this.button(texts.dismiss, "dismiss") : nothing}
    </section>`;
  }
}
