import { expect, onTestFinished, test } from 'vitest'
import { clearSignedOut, isMarkedSignedOut, markSignedOut } from './signed-out-mark.ts'

/** What `sessionStorage` is, or is an error, as in a browser that is told to keep nothing. */
function provideStorage(get: () => unknown): void {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'sessionStorage')
  Object.defineProperty(globalThis, 'sessionStorage', { configurable: true, get })
  onTestFinished(() => {
    Reflect.deleteProperty(globalThis, 'sessionStorage')
    if (before) Object.defineProperty(globalThis, 'sessionStorage', before)
  })
}

test('the mark stays until somebody is signed in', () => {
  const kept = new Map<string, string>()
  provideStorage(() => ({
    setItem: (key: string, value: string) => kept.set(key, value),
    getItem: (key: string) => kept.get(key) ?? null,
    removeItem: (key: string) => kept.delete(key),
  }))
  expect(isMarkedSignedOut()).toBe(false)
  markSignedOut()
  expect(isMarkedSignedOut()).toBe(true)
  clearSignedOut()
  expect(isMarkedSignedOut()).toBe(false)
})

test('a browser that keeps nothing has no mark, and is not disturbed', () => {
  provideStorage(() => {
    throw new DOMException('The operation is insecure.', 'SecurityError')
  })
  markSignedOut()
  expect(isMarkedSignedOut()).toBe(false)
  clearSignedOut()
})
