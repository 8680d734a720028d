"""Names on the broker, and who writes them.

sw:live:<topic>   channel: what happened, for browsers; JSON without topic and number (any process)
sw:wake:<code>    channel: commands wait for this run (any process)
sw:watch          channel: {"topics", "watched": true}: somebody began to watch (web processes; the controller, of a
                  run that sets out)
sw:watch:<topic>  key that expires: somebody watches; each web process keeps those of its viewers alive.
                  Nobody deletes it, since other web processes may have viewers of their own: the last
                  viewer is forgotten by expiry.
sw:open:<topic>   hash that expires, of senders: the lines that each is writing now, for who comes to look (link
                  servers)
"""

LIVE_CHANNEL = "sw:live:"
WAKE_CHANNEL = "sw:wake:"
WATCH_CHANNEL = "sw:watch"
WATCH_KEY = "sw:watch:"
OPEN_LINES_KEY = "sw:open:"
WATCH_EXPIRES_SECONDS = 10
WATCH_REFRESH_SECONDS = 3
