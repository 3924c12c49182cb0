-- Every limit is on, and none is ever reached.
return {
    limits = { chat = { tpm = 900000000, tpd = 900000000, concurrency = 100000 } },
}
