// A few questions at once: checked as they are typed, by the same rules that the server has the last word with.

import { css, html, nothing } from "lit";
import { customElement, state } from "lit/decorators.js";
import { DeliverableElement } from "../deliverable.ts";
import { harmless } from "../hidden.ts";
import { number } from "../money.ts";
import { filled, type Texts } from "../texts.ts";

export interface Field {
  name: string;
  label: string;
  type: "text" | "email" | "tel" | "date" | "number" | "select" | "checkbox" | "textarea";
  required: boolean;
  options: string[];
  min: number | null;
  max: number | null;
}

interface FormPayload {
  title: string;
  intro?: string | null;
  fields: Field[];
}

/** As agent_core/deliverables/form.py has them. */
const LONGEST: Record<string, number> = { text: 200, textarea: 2000, email: 254, tel: 30 };
const EMAIL = /^[^@\s,;<>"]{1,64}@(?:[^@\s.,;<>"]{1,63}\.)+[^@\s.,;<>"0-9]{2,63}$/;
const TELEPHONE = /^\+?[0-9][0-9 ()./-]*$/;

export type Value = string | boolean;

/** What is wrong with a value, in words; "" when nothing is. */
export function problem(field: Field, value: Value | undefined, texts: Texts): string {
  const empty = value === undefined || value === false || (typeof value === "string" && !value.trim());
  if (empty) return field.required ? texts.required : "";
  if (typeof value !== "string") return "";
  const text = value.trim();
  switch (field.type) {
    case "email":
      return EMAIL.test(text) ? "" : texts.badEmail;
    case "tel":
      return TELEPHONE.test(text) && digits(text) >= 5 && digits(text) <= 15 ? "" : texts.badTel;
    case "number":
      return numberProblem(field, parsed(text), texts);
    default:
      return "";
  }
}

function digits(text: string): number {
  return text.replace(/\D/g, "").length;
}

/** Many languages write a comma for the point. */
function parsed(text: string): number {
  return Number(text.replace(/^(-?\d+),(\d+)$/, "$1.$2"));
}

function numberProblem(field: Field, value: number, texts: Texts): string {
  if (!Number.isFinite(value)) return texts.badNumber;
  if (field.min !== null && value < field.min) return filled(texts.tooSmall, { n: field.min });
  if (field.max !== null && value > field.max) return filled(texts.tooLarge, { n: field.max });
  return "";
}

@customElement("parley-display-form")
export class FormElement extends DeliverableElement<FormPayload> {
  static override styles = [
    ...DeliverableElement.styles,
    css`
      .field {
        margin: 0.7rem 0;
      }
      .check {
        display: flex;
        gap: 0.6rem;
        align-items: center;
      }
      .check input {
        margin: 0;
        width: 1.25rem;
        height: 1.25rem;
        accent-color: var(--accent);
      }
      .optional {
        color: var(--muted);
        font-weight: 400;
        font-size: 0.8125rem;
      }
      dl {
        display: grid;
        grid-template-columns: minmax(5rem, auto) 1fr;
        gap: 0.2rem 0.75rem;
        margin: 0.4rem 0;
      }
      dt {
        color: var(--muted);
      }
      dd {
        margin: 0;
      }
    `,
  ];
  @state() private values: Record<string, Value> = {};
  @state() private touched: ReadonlySet<string> = new Set();

  protected override content(form: FormPayload) {
    const { texts } = this;
    const words = { submit: texts.submitted, cancel: texts.cancelled };
    const body = this.open ? form.fields.map((field) => this.#field(field)) : this.#answered(form);
    return html`<form novalidate @submit=${this.#submit}>
      ${this.framed(
        form.title,
        "",
        this.state(words, ["submit"]),
        html`${form.intro && this.open ? html`<p class="muted" dir="auto">${harmless(form.intro)}</p>` : nothing}${body}`,
        this.open
          ? html`<button class="solid" type="submit" ?disabled=${this.busy}>${texts.submit}</button>
              ${this.item.answers.includes("cancel") ? this.button(texts.cancel, "cancel") : nothing}`
          : nothing,
      )}
    </form>`;
  }

  #field(field: Field) {
    const { texts } = this;
    const wrong = this.touched.has(field.name) ? problem(field, this.values[field.name], texts) : "";
    const id = `f-${field.name}`;
    const name = html`<span dir="auto">${harmless(field.label)}</span>
      ${field.required ? nothing : html`<span class="optional">(${texts.optional})</span>`}`;
    const input = this.#input(field, id, wrong);
    return html`<div class="field">
      ${field.type === "checkbox"
        ? html`<div class="check">${input}<label for=${id}>${name}</label></div>`
        : html`<label for=${id}>${name}</label>${input}`}
      ${wrong ? html`<p class="error" id="${id}-e">${wrong}</p>` : nothing}
    </div>`;
  }

  #input(field: Field, id: string, wrong: string) {
    const value = this.values[field.name];
    const change = (event: Event) => this.#change(field, event.target as HTMLInputElement);
    const left = () => (this.touched = new Set([...this.touched, field.name]));
    const text = typeof value === "string" ? value : "";
    const described = wrong ? `${id}-e` : nothing;
    const invalid = String(Boolean(wrong));
    const required = String(field.required);
    switch (field.type) {
      case "textarea":
        return html`<textarea id=${id} rows="3" maxlength=${LONGEST["textarea"]!} dir="auto" aria-required=${required} aria-invalid=${invalid} aria-describedby=${described} .value=${text} @input=${change} @blur=${left}></textarea>`;
      case "select":
        return html`<select id=${id} aria-required=${required} aria-invalid=${invalid} aria-describedby=${described} @change=${change} @blur=${left}>
          <option value="" ?selected=${!text}></option>
          ${field.options.map((option) => html`<option ?selected=${option === text}>${harmless(option)}</option>`)}
        </select>`;
      case "checkbox":
        return html`<input id=${id} type="checkbox" aria-required=${required} aria-invalid=${invalid} aria-describedby=${described} .checked=${value === true} @change=${change} @blur=${left} />`;
      default: {
        const mode = field.type === "number" ? "decimal" : field.type;
        const type = field.type === "number" ? "text" : field.type;
        return html`<input id=${id} type=${type} inputmode=${mode} autocomplete="on" maxlength=${LONGEST[field.type] ?? 40} dir="auto" aria-required=${required} aria-invalid=${invalid} aria-describedby=${described} .value=${text} @input=${change} @blur=${left} />`;
      }
    }
  }

  #change(field: Field, input: HTMLInputElement): void {
    this.values = { ...this.values, [field.name]: field.type === "checkbox" ? input.checked : input.value };
  }

  readonly #submit = (event: Event): void => {
    event.preventDefault();
    const { fields } = this.payload;
    this.touched = new Set(fields.map((field) => field.name));
    const wrong = fields.find((field) => problem(field, this.values[field.name], this.texts));
    if (wrong) return void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(`#f-${wrong.name}`)?.focus());
    const given = fields.filter((field) => this.values[field.name] !== undefined && this.values[field.name] !== "");
    this.decide("submit", { values: Object.fromEntries(given.map((field) => [field.name, sent(field, this.values[field.name]!)])) });
  };

  #answered(form: FormPayload) {
    const values = (this.item.answer?.["values"] ?? {}) as Record<string, unknown>;
    const filledIn = form.fields.filter((field) => values[field.name] !== undefined);
    if (!filledIn.length) return nothing;
    return html`<dl>
      ${filledIn.map((field) => html`<dt dir="auto">${harmless(field.label)}</dt><dd dir="auto">${this.#shown(values[field.name])}</dd>`)}
    </dl>`;
  }

  #shown(value: unknown): string {
    if (value === true) return "✓";
    if (typeof value === "number") return number(value, this.language);
    return harmless(String(value));
  }
}

function sent(field: Field, value: Value): string | number | boolean {
  if (typeof value !== "string") return value;
  return field.type === "number" ? parsed(value.trim()) : value.trim();
}
