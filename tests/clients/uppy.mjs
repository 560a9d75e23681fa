// Uppy uploads files by its plugin for tus; tells what it ended with as JSON.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import Uppy from '@uppy/core'
import Tus from '@uppy/tus'

const [endpoint, ...paths] = process.argv.slice(2)
const uppy = new Uppy({ meta: { mood: 'sad' } }).use(Tus, { endpoint, chunkSize: 100_000 })
for (const path of paths) {
  uppy.addFile({ name: basename(path), type: 'audio/mpeg', data: readFileSync(path) })
}
const { successful, failed } = await uppy.upload()
const told = { urls: successful.map((file) => file.uploadURL), errors: failed.map((file) => file.error) }
console.log(JSON.stringify(told))
