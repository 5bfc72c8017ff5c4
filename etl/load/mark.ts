/** How a run writes. */
export type Mark = {
  /** Its number: of two runs' rows the later one's stand. */
  version: number
  /** Whether what stands is written again, over what a run that died may still be writing. */
  rewrite: boolean
}
