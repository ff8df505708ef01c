// A quote is an offer without a contract: today's prices.

import { customElement } from "lit/decorators.js";
import { OfferElement } from "./offer.ts";

@customElement("parley-display-quote")
export class QuoteElement extends OfferElement {
  protected override get eyebrow(): string {
    return this.texts.quote;
  }
}
