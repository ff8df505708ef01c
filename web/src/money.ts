// Amounts and times for a reader's language. Money is integers of the currency's minor unit.

/** ISO 4217, as agent_core/money.py has it. Browsers have their own, which shows a forint's amount a hundred times too large. */
const NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
const THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND";

export function money(minor: number, currency: string, language: string): string {
  const digits = NO_DIGITS.includes(currency) ? 0 : THREE_DIGITS.includes(currency) ? 3 : 2;
  const shown = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(language, { style: "currency", currency, ...shown }).format(minor / 10 ** digits);
}

export function number(value: number, language: string): string {
  return new Intl.NumberFormat(language).format(value);
}

export function clock(at: number, language: string): string {
  return new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" }).format(at);
}

export function moment(at: number, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(at);
}

/** "3 days", "2:05": what is left, in the coarsest words that still tell. */
export function left(ms: number, language: string): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const unit = (value: number, name: string) =>
    new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "long" }).format(value);
  if (seconds >= 2 * 86400) return unit(Math.floor(seconds / 86400), "day");
  if (seconds >= 2 * 3600) return unit(Math.floor(seconds / 3600), "hour");
  if (seconds >= 15 * 60) return unit(Math.floor(seconds / 60), "minute");
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
