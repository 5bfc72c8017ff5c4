const width = 24

/** How far something is, for a line of a terminal: `████████░░░░░░░░░░░░░░░░  33 %`. */
export function progressBar(part: number): string {
  const bounded = Math.min(1, Math.max(0, part))
  const done = Math.round(bounded * width)
  return `${'█'.repeat(done)}${'░'.repeat(width - done)} ${String(Math.floor(bounded * 100)).padStart(3)} %`
}
