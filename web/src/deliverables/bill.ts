// Lines, discounts, tax and totals, as an offer and a quote show them. Every sum is the server's.

import { css, html, nothing, type TemplateResult } from "lit";
import { harmless } from "../hidden.ts";
import { money, number } from "../money.ts";
import { filled, type Texts } from "../texts.ts";

type Charge = "one_off" | "monthly";

export interface Bill {
  currency: string;
  lines: { sku: string; label: string; quantity: number; charge: Charge; unit_minor: number; total_minor: number }[];
  discounts: { label: string; charge: Charge; amount_minor: number }[];
  tax: { rate_percent: number; included: boolean; one_off_minor: number; monthly_minor: number };
  totals: { one_off_minor: number; monthly_minor: number; term_total_minor: number | null };
}

const CHARGES = ["monthly", "one_off"] as const;

export const billStyles = css`
  table {
    width: 100%;
    margin: 0 0 0.75rem;
    border-collapse: separate;
    border-spacing: 0;
    font-variant-numeric: tabular-nums;
  }
  caption {
    padding-block: 0.5rem 0.1rem;
    color: var(--muted);
    font-size: 0.75rem;
    font-weight: 600;
    text-align: start;
  }
  caption::first-letter {
    text-transform: uppercase;
  }
  th,
  td {
    padding: 0.4rem 0;
    text-align: start;
    vertical-align: baseline;
    font-weight: inherit;
  }
  tr + tr :is(th, td) {
    border-top: 1px solid var(--line);
  }
  td {
    padding-inline-start: 0.75rem;
    text-align: end;
    white-space: nowrap;
  }
  .per {
    display: block;
    color: var(--muted);
    font-size: 0.75rem;
    font-weight: 400;
  }
  .off {
    color: var(--good);
  }
  tfoot :is(th, td) {
    padding: 0.5rem 0.7rem;
    background: var(--tint);
    font-weight: 700;
  }
  tfoot th {
    border-start-start-radius: calc(var(--radius) * 0.6);
    border-end-start-radius: calc(var(--radius) * 0.6);
  }
  tfoot td {
    border-start-end-radius: calc(var(--radius) * 0.6);
    border-end-end-radius: calc(var(--radius) * 0.6);
    font-size: 1.1875rem;
  }
  /* Letters that are large for the screen: an amount stands below what it is for. */
  @container (max-width: 14em) {
    tr,
    th,
    td {
      display: block;
    }
    tbody td {
      padding-inline-start: 0;
    }
    td {
      text-align: start;
      white-space: normal;
    }
  }
`;

export function bill(b: Bill, texts: Texts, language: string): TemplateResult {
  const of = (charge: Charge) => [...b.lines, ...b.discounts].some((part) => part.charge === charge) || paid(b, charge) > 0;
  return html`${CHARGES.filter(of).map((charge) => charged(b, charge, texts, language))}`;
}

/** What is paid every month, or once: its lines, what is taken off, and the sum. */
function charged(b: Bill, charge: Charge, texts: Texts, language: string): TemplateResult {
  const amount = (minor: number) => money(minor, b.currency, language);
  const monthly = charge === "monthly";
  const tax = { rate: number(b.tax.rate_percent, language), money: amount(monthly ? b.tax.monthly_minor : b.tax.one_off_minor) };
  return html`<table>
    <caption>${monthly ? texts.monthly : texts.once}</caption>
    <tbody>
      ${b.lines.filter((line) => line.charge === charge).map((line) => row(line, amount, language))}
      ${b.discounts
        .filter((cut) => cut.charge === charge)
        .map((cut) => html`<tr class="off"><th scope="row" dir="auto">${harmless(cut.label)}</th><td>${amount(cut.amount_minor)}</td></tr>`)}
    </tbody>
    <tfoot>
      <tr>
        <th scope="row">${monthly ? texts.totalMonthly : texts.totalOnce}
          <span class="per">${filled(b.tax.included ? texts.taxIncluded : texts.taxAdded, tax)}</span></th>
        <td>${amount(paid(b, charge))}</td>
      </tr>
    </tfoot>
  </table>`;
}

function row(line: Bill["lines"][number], amount: (minor: number) => string, language: string): TemplateResult {
  const several = line.quantity > 1;
  return html`<tr>
    <th scope="row" dir="auto">${harmless(line.label)}
      ${several ? html`<span class="per">${number(line.quantity, language)} × ${amount(line.unit_minor)}</span>` : nothing}</th>
    <td>${amount(line.total_minor)}</td>
  </tr>`;
}

function paid(b: Bill, charge: Charge): number {
  return charge === "monthly" ? b.totals.monthly_minor : b.totals.one_off_minor;
}
