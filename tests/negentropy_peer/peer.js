// One side of a reconciliation, spoken by an implementation that is not ours: JSON lines in, JSON lines out.
//
//     {"do": "load", "library": "reference" | "nostr-tools", "ids": [hex, …], "frame": bytes}
//     {"do": "initiate"}                        the first frame
//     {"do": "reconcile", "frame": hex}         {"frame": hex | null, "have": [hex, …], "need": [hex, …]}
//
// "reference" is Doug Hoyte's own code as applesauce-relay ships it; "nostr-tools" is another hand's, initiator only.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import path from "node:path";

const folder = path.dirname(createRequire(import.meta.url).resolve("./package.json"));
const own = (file) => import(pathToFileURL(path.join(folder, "node_modules", file)).href);
const libraries = {
  reference: await own("applesauce-relay/dist/lib/negentropy.js"),
  "nostr-tools": await own("nostr-tools/lib/esm/nip77.js"),
};
const hex = (found) => (found === null || typeof found === "string" ? found : Buffer.from(found).toString("hex"));
let side;

const acts = {
  load({ library, ids, frame }) {
    const { Negentropy, NegentropyStorageVector } = libraries[library];
    const storage = new NegentropyStorageVector();
    for (const id of ids) storage.insert(0, id);
    storage.seal();
    side = new Negentropy(storage, frame);
    return {};
  },
  async initiate() {
    return { frame: hex(await side.initiate()) };
  },
  async reconcile({ frame }) {
    const have = [], need = [];
    const answer = await side.reconcile(frame, (id) => have.push(id), (id) => need.push(id));
    if (!Array.isArray(answer)) return { frame: hex(answer), have, need };
    const [next, more, less] = answer;
    return { frame: hex(next), have: more.map(hex), need: less.map(hex) };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let told;
  try {
    told = await acts[command.do](command);
  } catch (error) {
    told = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(told) + "\n");
}
