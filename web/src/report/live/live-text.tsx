import { useChangeCount } from './use-change-count.ts'

/** Text that lights up for a moment when it changes under the reader's eyes. */
export function LiveText({ text, testId }: { text: string; testId?: string }) {
  const count = useChangeCount(text)
  return (
    <span key={count} className={count > 0 ? 'live-text changed' : 'live-text'} data-testid={testId}>
      {text}
    </span>
  )
}
