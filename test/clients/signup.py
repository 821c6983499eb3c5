# signup.py INSTANCE EMAIL...
#
# Adds users to an instance through the pooler that PGHOST and PGPORT lead to, and says, in
# the words of HTTP, what became of each.  Meanwhile it listens for warnings on a connection
# of its own, past the pooler, to LISTEN_HOST and LISTEN_PORT.

import json
import os
import select
import sys

import psycopg2

FULL = {"code": "user_quota_exceeded",
        "message": "You have reached your limit of users. If you need more users, please use a Production instance."}


def sign_up(pooled, instance, email):
    try:
        with pooled, pooled.cursor() as cursor:     # one transaction: what is entered ends with it
            cursor.execute("SELECT instance_env.enter(%s, local => true)", (instance,))
            cursor.execute("INSERT INTO users (email) VALUES (%s)", (email,))
        return "201"
    except psycopg2.IntegrityError as error:
        if error.pgcode == "23I01":
            return "403 " + json.dumps(FULL)
        raise


def listen():
    listener = psycopg2.connect(host=os.environ["LISTEN_HOST"], port=os.environ["LISTEN_PORT"])
    listener.autocommit = True
    listener.cursor().execute("LISTEN instance_env")
    return listener


def warnings(listener, seconds):
    while select.select([listener], [], [], seconds)[0]:
        listener.poll()
        while listener.notifies:
            yield json.loads(listener.notifies.pop(0).payload)


listener = listen()
pooled = psycopg2.connect("")
for email in sys.argv[2:]:
    print(sign_up(pooled, sys.argv[1], email))
for warning in warnings(listener, 0.5):
    print("{application}: {users} of {cap} users, {percent} %".format(**warning))
