/** A JSON object whose fields nobody has looked at. */
export type JsonObject = Record<string, unknown>;

/** The JSON object in a payload; undefined where there is none. */
export function readObject(payload: Uint8Array): JsonObject | undefined {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'));
  } catch {
    return undefined;
  }
  // An object that is neither null nor a list has fields by name.
  return typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as JsonObject) : undefined;
}
