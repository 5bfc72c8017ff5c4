/**
 * What `work` gives, if it does within `ms`; else what `giveUp` throws. The work goes on, and how it ends then is
 * nobody's concern here.
 */
export async function withTimeout<T>(work: Promise<T>, ms: number, giveUp: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const bound = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(giveUp()), ms)
  })
  try {
    return await Promise.race([work, bound])
  } finally {
    clearTimeout(timer)
  }
}
