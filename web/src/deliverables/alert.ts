// One thing the customer should not miss.

import { css, html, nothing } from "lit";
import { customElement } from "lit/decorators.js";
import { DeliverableElement } from "../deliverable.ts";
import { harmless } from "../hidden.ts";

interface AlertPayload {
  level: "info" | "success" | "warning" | "danger";
  title: string;
  text: string;
}

@customElement("parley-display-alert")
export class AlertElement extends DeliverableElement<AlertPayload> {
  static override styles = [
    ...DeliverableElement.styles,
    css`
      .alert {
        padding: 0.75rem 1rem;
        border: 1px solid var(--line);
        border-inline-start: 4px solid var(--link);
        border-radius: var(--radius);
        background: var(--raised);
      }
      .success {
        border-inline-start-color: var(--good);
        background: var(--good-ground);
      }
      .warning {
        border-inline-start-color: var(--warn);
        background: var(--warn-ground);
      }
      .danger {
        border-inline-start-color: var(--bad);
        background: var(--bad-ground);
      }
      h3 {
        margin: 0;
        font-size: 1rem;
      }
      .eyebrow {
        display: block;
        font-size: 0.75rem;
        font-weight: 600;
      }
      .success .eyebrow {
        color: var(--good);
      }
      .warning .eyebrow {
        color: var(--warn);
      }
      .danger .eyebrow {
        color: var(--bad);
      }
      p {
        margin: 0.25rem 0 0;
      }
      button {
        margin-top: 0.6rem;
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
    return html`<section class="alert ${alert.level}" aria-labelledby="title">
      <h3 id="title"><span class="eyebrow">${level}</span><span dir="auto">${harmless(alert.title)}</span></h3>
      <p dir="auto">${harmless(alert.text)}</p>
      ${this.note ? html`<p role="alert">${this.note}</p>` : nothing}
      ${this.open ? this.button(texts.dismiss, "dismiss") : nothing}
    </section>`;
  }
}
