/** Text made fit for the inside of an SVG element or attribute. */
export function escapeXml(text: string): string {
  return (
    text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      // XML 1.0 §2.2 has no way at all to write these.
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must go
      .replaceAll(/[\x00-\x08\x0b\x0c\x0e-\x1f]/g, '?')
  );
}

/** A number of pixels with at most one decimal. */
export function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}
