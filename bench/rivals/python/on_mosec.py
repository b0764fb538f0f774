"""W1 as near as Mosec comes to it: two stages in a line, each a process; between them the data goes back to its server."""

from mosec import Server, Worker


class Gateway(Worker):
    def forward(self, data: dict) -> str:
        return data["text"]


class Echo(Worker):
    def forward(self, data: str) -> dict:
        return {"text": data}


if __name__ == "__main__":
    server = Server()
    server.append_worker(Gateway, route="/run")
    server.append_worker(Echo, route="/run")
    server.run()
