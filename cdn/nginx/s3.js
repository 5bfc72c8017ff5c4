// For njs 0.7: on misses only. js_set handlers must be synchronous there, and module code runs anew for each request.
// biome-ignore lint/style/useNodejsImportProtocol: njs 0.7 knows it by this name alone.
import crypto from 'crypto'

const emptyHash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const signedHeaders = 'host;x-amz-content-sha256;x-amz-date'

/** `20260131T235959Z` */
function date() {
  return new Date().toISOString().replace(/[:-]|\.[0-9]{3}/g, '')
}

/** Signature of a GET of this object (AWS General Reference, "Signature Version 4"). Its path has nothing to escape. */
function authorization(r) {
  const settings = s3_settings
  const time = r.variables.s3_date
  const day = time.slice(0, 8)
  const scope = `${day}/${settings.region}/s3/aws4_request`
  const path = `${settings.prefix}${r.variables.object}`
  const headers = `host:${settings.host}\nx-amz-content-sha256:${emptyHash}\nx-amz-date:${time}\n`
  const request = `GET\n${path}\n\n${headers}\n${signedHeaders}\n${emptyHash}`
  const text = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${crypto.createHash('sha256').update(request).digest('hex')}`
  const parts = [day, settings.region, 's3', 'aws4_request']
  const key = parts.reduce((previous, part) => hmac(previous, part), `AWS4${settings.secretAccessKey}`)
  const signature = hmac(key, text, 'hex')
  const credential = `${settings.accessKeyId}/${scope}`
  return `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signedHeaders}, Signature=${signature}`
}

function hmac(key, text, encoding) {
  return crypto.createHmac('sha256', key).update(text).digest(encoding)
}

// What an object is, and nothing of the store's own: the first answer says no more than those from the file later.
const kept = ['content-type', 'content-length', 'content-encoding', 'last-modified']

/**
 * With the validator that nginx gives to the file once it is stored (ngx_http_set_etag: time and size in hexadecimal), so
 * that the answer that stored it and all later ones have the same.
 */
function objectHeaders(r) {
  keepOnly(r, kept)
  const size = Number(r.headersOut['Content-Length'])
  const time = Date.parse(r.headersOut['Last-Modified']) / 1000
  if (r.status === 200 && size >= 0 && time >= 0)
    r.headersOut.ETag = `"${time.toString(16)}-${size.toString(16)}"`
}

/**
 * Of what is compressed no ranges are cut out when it is fetched, as there are none of its file later (gzip_static): nginx
 * does it only where it knows the length.
 */
function wholeIfEncoded(r) {
  if (r.headersOut['Content-Encoding'] && r.headersIn.Range) delete r.headersOut['Content-Length']
}

function rangeOnly(r) {
  keepOnly(r, ['content-range', 'content-length', 'content-type'])
}

function keepOnly(r, names) {
  for (const name in r.headersOut) if (!names.includes(name.toLowerCase())) delete r.headersOut[name]
}

/**
 * Why there is no object. The status alone does not tell: 404 is also a bucket that is not there. It is asked once more,
 * for nginx has dropped the body.
 */
async function refusal(r) {
  const answer = await r.subrequest('/why')
  const status = answer.status
  const code = /<Code>([A-Za-z]{1,64})<\/Code>/.exec(answer.responseText || '')
  r.headersOut['X-Store-Answer'] = code ? `${status} ${code[1]}` : `${status}`
  // There in the meantime, or gone away: the next attempt will tell.
  if (status < 300 || status >= 500) r.return(503)
  else r.return(status === 404 && !(code && code[1] === 'NoSuchBucket') ? 404 : 403)
}

export default { date, authorization, objectHeaders, wholeIfEncoded, rangeOnly, refusal }
