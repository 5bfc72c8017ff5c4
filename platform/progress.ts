import ora from 'ora'

/** Tells a person what is being started, a line a step. */
export type Progress = {
  /** Runs a step and says how long it took; `update` replaces the step's text while it runs. */
  step<Result>(text: string, work: (update: (text: string) => void) => Promise<Result>): Promise<Result>
}

/** @param stopping a step that ends after it did not fail: it was told to end, and nothing is said of it */
export function createTerminalProgress(stream: NodeJS.WriteStream, stopping: AbortSignal): Progress {
  // A terminal that does not know how wide it is has 0 columns, and ora never comes to the end of clearing a line in it.
  return stream.isTTY && stream.columns > 0 ? spinnerProgress(stream, stopping) : lineProgress(stream)
}

/** For a file or a pipe: a line when a step begins and one when it is done, without colours. */
function lineProgress(stream: NodeJS.WriteStream): Progress {
  return {
    async step(text, work) {
      const startedAt = performance.now()
      stream.write(`- ${text}\n`)
      const result = await work(() => {})
      stream.write(`✔ ${text} (${secondsSince(startedAt)} s)\n`)
      return result
    },
  }
}

const secondsSince = (startedAt: number) => ((performance.now() - startedAt) / 1000).toFixed(1)

function spinnerProgress(stream: NodeJS.WriteStream, stopping: AbortSignal): Progress {
  return {
    async step(text, work) {
      const startedAt = performance.now()
      const spinner = ora({ text, stream, discardStdin: false }).start()
      try {
        const result = await work((newText) => {
          spinner.text = newText
        })
        spinner.succeed(`${text} (${secondsSince(startedAt)} s)`)
        return result
      } catch (error) {
        if (stopping.aborted) spinner.stop()
        else spinner.fail()
        throw error
      }
    },
  }
}

/** For tests and measurements, which look at the result alone. */
export const silentProgress: Progress = { step: (_text, work) => work(() => {}) }
