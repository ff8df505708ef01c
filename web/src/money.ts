// Amounts and times for a reader's language. Money is integers of the currency's minor unit.

export function money(minor: number, currency: string, language: string): string {
  const format = new Intl.NumberFormat(language, { style: "currency", currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(minor / 10 ** digits);
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
