// The frame: reads what the server says of the site, and opens the chat.

import type { Chat } from "./components/chat.ts";
import type { Site } from "./types.ts";
import "./components/chat.ts";
import "parley:deliverables";

const chat = document.createElement("parley-chat") as Chat;
chat.site = JSON.parse(document.getElementById("site")!.textContent!) as Site;
chat.mode = document.documentElement.dataset["mode"] ?? "panel";
chat.role = "main";
document.body.append(chat);
