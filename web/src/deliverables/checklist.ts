// Steps to tick off together.

import { css, html, nothing } from "lit";
import { customElement, state } from "lit/decorators.js";
import { ref } from "lit/directives/ref.js";
import { DeliverableElement } from "../deliverable.ts";
import { harmless } from "../hidden.ts";
import { filled } from "../texts.ts";

interface ChecklistPayload {
  title: string;
  items: { id: string; label: string; done: boolean }[];
}

@customElement("parley-display-checklist")
export class ChecklistElement extends DeliverableElement<ChecklistPayload> {
  static override styles = [
    ...DeliverableElement.styles,
    css`
      label {
        display: flex;
        gap: 0.6rem;
        align-items: flex-start;
        padding: 0.45rem 0;
        font-weight: 400;
        cursor: pointer;
      }
      input {
        flex: none;
        width: 1.25rem;
        height: 1.25rem;
        margin: 0.1rem 0 0;
        accent-color: var(--accent);
      }
      input:checked + span {
        color: var(--muted);
        text-decoration: line-through;
      }
      label + label {
        border-top: 1px solid var(--line);
      }
      .bar {
        height: 6px;
        margin: 0.4rem 0;
        border-radius: 3px;
        background: var(--line);
        overflow: hidden;
      }
      .bar div {
        height: 100%;
        border-radius: 3px;
        background: var(--link);
        transition: width 0.2s;
      }
    `,
  ];
  @state() private ticked: ReadonlySet<string> | undefined;

  protected override willUpdate(changed: Map<string, unknown>): void {
    const before = changed.get("item") as { version: number } | undefined;
    if (before && before.version !== this.item.version) this.ticked = undefined;
  }

  protected override content(list: ChecklistPayload) {
    const done = this.#done(list);
    const counts = { done: done.size, all: list.items.length };
    const dirty = this.ticked !== undefined;
    return this.framed(
      list.title,
      "",
      html`<span class="state ${counts.done === counts.all ? "good" : ""}">${filled(this.texts.progress, counts)}</span>`,
      html`<div class="bar" aria-hidden="true"><div ${ref((bar) => this.#draw(bar, counts))}></div></div>
        ${list.items.map(
          (step) => html`<label>
            <input
              type="checkbox"
              .checked=${done.has(step.id)}
              ?disabled=${!this.open || this.busy}
              @change=${(event: Event) => this.#tick(list, step.id, (event.target as HTMLInputElement).checked)}
            /><span dir="auto">${harmless(step.label)}</span>
          </label>`,
        )}`,
      this.open && dirty ? this.button(this.texts.save, "update", { done: [...done] }, true) : nothing,
    );
  }

  /** Through the object model: a style attribute is nothing a strict policy allows. */
  #draw(bar: Element | undefined, { done, all }: { done: number; all: number }): void {
    (bar as HTMLElement | undefined)?.style.setProperty("width", `${(100 * done) / all}%`);
  }

  #done(list: ChecklistPayload): ReadonlySet<string> {
    const answered = this.item.answer?.["done"] as string[] | undefined;
    return this.ticked ?? new Set(answered ?? list.items.filter((step) => step.done).map((step) => step.id));
  }

  #tick(list: ChecklistPayload, id: string, on: boolean): void {
    const done = new Set(this.#done(list));
    if (on) done.add(id);
    else done.delete(id);
    this.ticked = done;
  }
}
