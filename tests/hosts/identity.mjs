import { createHmac } from "node:crypto";

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** For parley("identify", ...) on a page that this customer is signed in to. */
export function parleyIdentity(customerId, name) {
  const claims = {
    sub: customerId, // your own id of the customer
    name,
    aud: "parley:" + process.env.PARLEY_SITE,
    exp: Math.floor(Date.now() / 1000) + 600,
  };
  const signed = part({ alg: "HS256", typ: "JWT" }) + "." + part(claims);
  return signed + "." + createHmac("sha256", process.env.PARLEY_SITE_SECRET).update(signed).digest("base64url");
}
