# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""proxies.py aiohttp|fastapi PORT UPSTREAM: the proxies that teams write first, with the routing of
proxies.go: a version by the hash of the user, bodies passed on in pieces, connections kept."""
import sys
import zlib

KIND, PORT, UPSTREAM = sys.argv[1], int(sys.argv[2]), sys.argv[3]
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host",
              "proxy-authorization", "proxy-connection", "content-length"}


def version(headers):
    place = zlib.crc32(headers.get("x-user-id", "").encode()) % 100
    return "v1" if place < 70 else "v2" if place < 90 else "v2-beta"


def passed_on(headers):
    kept = {k: v for k, v in headers.items() if k.lower() not in HOP_BY_HOP}
    return kept | {"X-Model-Version": version(headers)}


def run_aiohttp():
    import aiohttp
    from aiohttp import web

    async def answer(request):
        async with request.app["client"].request(
                request.method, UPSTREAM + request.path_qs, headers=passed_on(request.headers),
                data=request.content) as reply:
            response = web.StreamResponse(status=reply.status, headers={
                k: v for k, v in reply.headers.items() if k.lower() not in HOP_BY_HOP})
            await response.prepare(request)
            async for piece in reply.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    async def client(app):
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            app["client"] = session
            yield

    app = web.Application()
    app.cleanup_ctx.append(client)
    app.router.add_route("*", "/{path:.*}", answer)
    web.run_app(app, host="127.0.0.1", port=PORT, access_log=None, print=None)


def run_fastapi():
    import fastapi
    import httpx
    import uvicorn
    from fastapi.responses import StreamingResponse

    client = httpx.AsyncClient(
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=None), timeout=60)
    app = fastapi.FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def answer(request: fastapi.Request, path: str):
        reply = await client.send(client.build_request(
            request.method, f"{UPSTREAM}/{path}", headers=passed_on(dict(request.headers)),
            content=await request.body()), stream=True)

        async def pieces():
            async for piece in reply.aiter_raw():
                yield piece
            await reply.aclose()

        headers = {k: v for k, v in reply.headers.items() if k.lower() not in HOP_BY_HOP}
        return StreamingResponse(pieces(), reply.status_code, headers)

    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="critical", access_log=False)


run_aiohttp() if KIND == "aiohttp" else run_fastapi()
