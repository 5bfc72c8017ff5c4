/** As Promise.all, but when one fails the others are waited for all the same: nothing goes on when this has thrown. */
export async function allEnded<const Values extends readonly unknown[]>(
  work: readonly [...{ [I in keyof Values]: Promise<Values[I]> }],
): Promise<Values> {
  const ended = await Promise.allSettled(work)
  for (const result of ended) if (result.status === 'rejected') throw result.reason
  return Promise.all(work) as unknown as Promise<Values>
}
