/** Lines of a table: columns two blanks apart, as wide as their widest cell, no blanks at the ends of lines. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  rightAligned: ReadonlySet<number> = new Set(),
): string[] {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => width(line[column] ?? ''))));
  return lines.map((line) => {
    const cells = widths.map((columnWidth, column) => {
      const cell = line[column] ?? '';
      const blanks = ' '.repeat(columnWidth - width(cell));
      return rightAligned.has(column) ? blanks + cell : cell + blanks;
    });
    return cells.join('  ').trimEnd();
  });
}

/** Characters, not UTF-16 units; JIDs may hold any letter. */
function width(text: string): number {
  return [...text].length;
}

/** Text from elsewhere made fit for a terminal: one line, no control characters (they could move the cursor or recolour what follows). */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}
