// tus-js-client does what the first argument says, with a file; tells what it ended with as JSON.
import { readFileSync } from 'node:fs'
import tus from 'tus-js-client'

const [scenario, endpoint, path, options = '{}'] = process.argv.slice(2)
const { storage, ...given } = JSON.parse(options)
const data = readFileSync(path)

function upload(more = {}) {
  const retryDelays = Array(2000).fill(20)
  return new tus.Upload(data, { endpoint, retryDelays, ...given, ...more })
}

function tell(told) {
  console.log(JSON.stringify(told))
}

// Resolves with the upload's address, or with what went wrong.
function run(more, before = (one) => one.start()) {
  return new Promise((resolve) => {
    const accepted = []
    const one = upload({
      onSuccess: () => resolve({ url: one.url, accepted }),
      onError: (error) => resolve({ error: String(error), accepted }),
      onChunkComplete: (size) => accepted.push(size),
      ...more,
    })
    before(one)
  })
}

const scenarios = {
  // As the options say.
  upload: () => run({}),
  // Paused after its first chunk; another object goes on with it.
  async resumed() {
    const urlStorage = new tus.FileUrlStorage(storage)
    const url = await new Promise((resolve, reject) => {
      const first = upload({
        urlStorage,
        chunkSize: 50_000,
        onError: reject,
        onChunkComplete: () => first.abort().then(() => resolve(first.url)),
      })
      first.start()
    })
    const told = await run({ urlStorage, fingerprint: async () => 'fingerprint' }, async (second) => {
      second.resumeFromPreviousUpload({ uploadUrl: url, metadata: {} })
      second.start()
    })
    return { ...told, first: url }
  },
  // Ended after its first chunk, for good.
  terminated: () =>
    new Promise((resolve, reject) => {
      const one = upload({
        chunkSize: 50_000,
        onError: reject,
        onChunkComplete: () => one.abort(true).then(() => resolve({ url: one.url })),
      })
      one.start()
    }),
}

tell(await scenarios[scenario]())
