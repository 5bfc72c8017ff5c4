/**
 * Variables that are most likely meant to be one of ours: one letter too many, too few, another one, or two swapped.
 * @param known short names are left alone: too many words are one letter from them
 * @returns pairs of what is set and what is meant
 */
export function misspeltVariables(
  env: Record<string, string | undefined>,
  known: readonly string[],
): { name: string; meant: string }[] {
  const names = new Set(known)
  const long = [...names].filter((name) => name.length >= 8 && name.includes('_'))
  return Object.keys(env).flatMap((name) => {
    const meant = names.has(name) ? undefined : long.find((candidate) => isOneEdit(name, candidate))
    return meant ? [{ name, meant }] : []
  })
}

function isOneEdit(one: string, other: string): boolean {
  const shorter = Math.min(one.length, other.length)
  let start = 0
  while (start < shorter && one[start] === other[start]) start += 1
  let end = 0
  while (end < shorter - start && one.at(-1 - end) === other.at(-1 - end)) end += 1
  const difference = (word: string) => word.slice(start, word.length - end)
  const [left, right] = [difference(one), difference(other)]
  const isSwapped = left.length === 2 && left === `${right[1]}${right[0]}` && right.length === 2
  return (left.length <= 1 && right.length <= 1) || isSwapped
}
