// What lstd-export wrote into a .tflite about it: the JSON named lstd.json among the file's metadata.

/** Says in a sentence what the user can do; any other error is a surprise. */
export class Refusal extends Error {}

/** Returns the metadata of a file's bytes, or throws a Refusal where this page cannot run it. */
export async function factsOf(bytes) {
  if (String.fromCharCode(...bytes.subarray(4, 8)) !== "TFL3")
    throw new Refusal("it is not a .tflite file");
  const damaged = new Refusal("the file is damaged; copy it again");
  let facts;
  try {
    facts = JSON.parse(new TextDecoder().decode(textIn(bytes)) || "{}");
  } catch {
    throw damaged;
  }
  if (facts.format !== "lstd")
    throw new Refusal("it is a .tflite, but not of lstd-export: the metadata of lstd are missing");
  if (facts.form.signature !== "streaming")
    throw new Refusal("it takes clips; export it with --signature streaming");
  if (!facts.postprocessing.included)
    throw new Refusal("it returns no boxes; export it without --noadd_postprocessing_op");
  if (facts.self_check.compiled_model === undefined)
    throw new Refusal("an earlier lstd wrote it, and LiteRT.js misreads its memory; export it again");
  // LiteRT.js would run damaged weights in silence. A page that is not over https cannot check them.
  const { payload_bytes, payload_sha256 } = facts.file;
  const digest = await crypto.subtle?.digest("SHA-256", bytes.subarray(-payload_bytes));
  const hex = (byte) => byte.toString(16).padStart(2, "0");
  if (digest && Array.from(new Uint8Array(digest), hex).join("") !== payload_sha256) throw damaged;
  return facts;
}

// A FlatBuffer: offsets lead from table to table, and a vtable says where the fields of one stand.
function textIn(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = (at) => view.getUint32(at, true);
  const follow = (at) => at + number(at);
  const field = (table, index) => {
    const vtable = table - view.getInt32(table, true);
    const known = 4 + 2 * index < view.getUint16(vtable, true);
    return known && table + view.getUint16(vtable + 4 + 2 * index, true);
  };
  const list = (table, index) => follow(field(table, index));
  const element = (start, index) => follow(start + 4 + 4 * index);
  const content = (start) => bytes.subarray(start + 4, start + 4 + number(start));
  const model = follow(0);
  const [buffers, entries] = [list(model, 4), list(model, 6)];
  for (let i = 0; i < number(entries); i++) {
    const entry = element(entries, i);
    if (new TextDecoder().decode(content(list(entry, 0))) === "lstd.json")
      return content(list(element(buffers, number(field(entry, 1))), 0));
  }
  return new Uint8Array();
}
