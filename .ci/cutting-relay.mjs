// usage: node cutting-relay.mjs ORIGIN: passes requests on to a service, and prints where it listens. It cuts the
// connection in the middle of every download of a whole archive, so that a download ends only if its client asks for
// the rest.
import http from 'node:http';

const [origin] = process.argv.slice(2);

const server = http.createServer((request, response) => {
  const { method, headers, url } = request;
  const passed = http.request(`${origin}${url}`, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    if (url.endsWith('/download') && answer.statusCode === 200) sendHalf(answer, response);
    else answer.pipe(response);
  });
  passed.on('error', () => response.destroy());
  response.on('close', () => passed.destroy());
  request.pipe(passed);
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));

function sendHalf(answer, response) {
  let left = Math.floor(Number(answer.headers['content-length']) / 2);
  answer.on('data', (chunk) => {
    if (left === 0) return;
    const first = chunk.subarray(0, left);
    left -= first.length;
    response.write(first, () => left === 0 && response.destroy());
  });
}
