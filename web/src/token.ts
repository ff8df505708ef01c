/** 32 hexadecimal digits by chance. (`crypto.randomUUID` is missing on pages without TLS.) */
export function token(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
