/** `run egress-worker.js:45` for V8's `JS:*run file:///…/tap/dist/egress-worker.js:45:12`. Names of another form stay. */
export function scriptName(symbol: string): string {
  // A leading mark tells the tier: ~ interpreted, ^ baseline, + and * optimised (V8's CodeKindToMarker).
  const match = /^(?:[A-Za-z]+:)?[~^+*]?(.*?) ?(?:file:\/\/)?[^ ]*?([^/ ]+\.[cm]?[jt]s):(\d+)(?::\d+)?$/.exec(
    symbol,
  );
  if (match === null) return symbol;
  const [, name, file, line] = match;
  return `${name === '' ? '(anonymous)' : name} ${file}:${line}`;
}
