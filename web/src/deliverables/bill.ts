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

export const billStyles = css`
  table {
    width: 100%;
    margin: 0.4rem 0;
    border-collapse: collapse;
    font-variant-numeric: tabular-nums;
  }
  th,
  td {
    padding: 0.35rem 0;
    border-bottom: 1px solid var(--line);
    text-align: start;
    vertical-align: top;
    font-weight: inherit;
  }
  thead th {
    color: var(--muted);
    font-size: 0.75rem;
  }
  th:last-child,
  td:last-child {
    padding-inline-start: 0.75rem;
    text-align: end;
    white-space: nowrap;
  }
  .per {
    display: block;
    color: var(--muted);
    font-size: 0.75rem;
  }
  .off td:last-child {
    color: var(--good);
  }
  dl {
    display: grid;
    grid-template-columns: 1fr auto;
    gap: 0.15rem 0.75rem;
    margin: 0.6rem 0 0.2rem;
    font-variant-numeric: tabular-nums;
  }
  dt,
  dd {
    margin: 0;
  }
  dd {
    text-align: end;
  }
  .sum {
    font-weight: 700;
    font-size: 1.0625rem;
  }
`;

export function bill(b: Bill, texts: Texts, language: string): TemplateResult {
  const amount = (minor: number) => money(minor, b.currency, language);
  const per = (charge: Charge) => (charge === "monthly" ? texts.perMonth : texts.once);
  return html`<table>
      <thead>
        <tr><th scope="col">${texts.item}</th><th scope="col">${texts.price}</th></tr>
      </thead>
      <tbody>
        ${b.lines.map(
          (line) => html`<tr>
            <th scope="row" dir="auto">
              ${line.quantity > 1 ? `${number(line.quantity, language)} × ` : nothing}${harmless(line.label)}
              ${line.quantity > 1 ? html`<span class="per">${amount(line.unit_minor)}</span>` : nothing}
            </th>
            <td>${amount(line.total_minor)}<span class="per">${per(line.charge)}</span></td>
          </tr>`,
        )}
        ${b.discounts.map(
          (cut) => html`<tr class="off">
            <th scope="row" dir="auto">${harmless(cut.label)}</th>
            <td>${amount(cut.amount_minor)}<span class="per">${per(cut.charge)}</span></td>
          </tr>`,
        )}
      </tbody>
    </table>
    ${totals(b, texts, language)}`;
}

function totals(b: Bill, texts: Texts, language: string): TemplateResult {
  const charged = (["monthly", "one_off"] as const).filter((charge) => b.lines.some((line) => line.charge === charge));
  const rate = number(b.tax.rate_percent, language);
  return html`<dl>
    ${charged.map((charge) => {
      const tax = money(charge === "monthly" ? b.tax.monthly_minor : b.tax.one_off_minor, b.currency, language);
      const sum = money(charge === "monthly" ? b.totals.monthly_minor : b.totals.one_off_minor, b.currency, language);
      return html`<dt class="sum">${charge === "monthly" ? texts.totalMonthly : texts.totalOnce}</dt>
        <dd class="sum">${sum}</dd>
        <dt class="muted small">${filled(b.tax.included ? texts.taxIncluded : texts.taxAdded, { rate, money: tax })}</dt>
        <dd></dd>`;
    })}
  </dl>`;
}
