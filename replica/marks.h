/*
 * The coverage marks of a replica around its core (core/mark.h), by folder.
 */
#ifndef ORDAIN_REPLICA_MARKS_H
#define ORDAIN_REPLICA_MARKS_H

#include "core/mark.h"

#define REPLICA_MARKS(X)                                                                                               \
    /* turn.c */                                                                                                       \
    X(INTAKE_STOPPED, OFTEN, "the store has no room, and intake stops")                                                \
    X(TURN_DURING_COMMIT, OFTEN, "a turn puts something urgent while an earlier turn's commit is under way")           \
    /* agree/ */                                                                                                       \
    X(FORGET_KEEPS_OPEN_BLOCK, OFTEN, "the core forgets bodies that the open block still needs")                       \
    X(TAIL_CLOSED, OFTEN, "a block closes that state transfer had brought a part of")                                  \
    X(BATCH_LEAN, RARE, "a batch leaves out what the leader has had for long, and has room for it")                    \
    X(BATCH_MISNAMED, RARE, "a batch does not name the view that it has to name, or names one")                        \
    X(JUDGE_WAITS_FOR_CLIENT, OFTEN, "a batch names a client that is not registered yet")                              \
    X(JUDGE_WAITS_FOR_CHECK, OFTEN, "a batch has an envelope whose signature is being checked for admission")          \
    X(JUDGEMENT_DROPPED, OFTEN, "the core moves past a batch while it is judged")                                      \
    X(ALLOWANCE_SPENT, RARE, "a sender's messages have more signatures than it may have checked")                      \
    X(CHECK_REPEATED, OFTEN, "a message comes again while the same one of its sender is being checked")                \
    X(CHECK_WAITS, OFTEN, "a message waits because enough of its sender's are being checked")                          \
    X(MESSAGE_NOT_NOW, OFTEN, "a message is checked while the core may not run")                                       \
    X(SENDER_IGNORED, OFTEN, "a message comes from a sender whose last signature did not verify")                      \
    /* intake/ */                                                                                                      \
    X(ANOTHER_BODY_WAITS, OFTEN, "an envelope comes while another one waits under its number")                         \
    X(NEWCOMERS_SHARE_SPENT, RARE, "a source has as many registrations under check as it may have")                    \
    X(FORWARD_IGNORED, RARE, "a replica forwards more within a second of a bad signature or certificate")              \
    X(CHECKS_SHARE_SPENT, RARE, "a source has as many signatures under check as it may have")                          \
    X(FOREIGN_ADOPTED, OFTEN, "a client submits an envelope here that another replica had forwarded")                  \
    X(POOL_FULL, OFTEN, "the pool, or a client's share of it, is full")                                                \
    X(SEQUENCE_TOO_FAR, OFTEN, "a sequence number lies beyond the replay window")                                      \
    X(FORWARD_WITHOUT_LEADER, OFTEN, "a replica that has had no leader for long forwards to all")                      \
    X(FORWARD_QUEUED, OFTEN, "an envelope that is due again is queued behind others, and the leader serves")           \
    X(FORWARD_SHARE_SPENT, OFTEN, "what is due again waits, because repeats have sent all that they may")              \
    X(OFFER_NOT_NEEDED, OFTEN, "an envelope is offered that is here already, or was executed")                         \
    X(WANTED_IN_VAIN, OFTEN, "a replica asks for an envelope that is gone, or that it was given")                      \
    X(BUSY_BY_RATE, OFTEN, "a client has more here than its part of what is ordered soon")                             \
    X(LARGE_LET_IN, RARE, "a large envelope that was refused comes in beyond the rate")                                \
    X(FORWARDED_TO_ALL, OFTEN, "an envelope that was forwarded to all is still not executed")                          \
    X(FORWARDED_AGAIN, OFTEN, "an envelope that another replica forwarded is still not executed")                      \
    X(NEWCOMERS_LEFT_FOR_LATER, RARE, "a batch has as many registrations as it may have, and more wait")               \
    X(CUT_PROPOSED_AGAIN, RARE, "a cut marker did not take effect and is proposed again")                              \
    X(PROPOSAL_REFUSED, OFTEN, "the core takes no batch although it leads")                                            \
    /* finality/ */                                                                                                    \
    X(LOG_CUT_AT_ONCE, OFTEN, "the log is cut without the usual lag, because its window or its bodies fill up")        \
    X(ATTESTED_AT_REST, OFTEN, "the newest executed seq is attested because nothing follows it")                       \
    X(ATTESTATION_KNOWN, OFTEN, "an attestation comes that is here, and is not checked")                               \
    X(ATTESTED_AGAIN, RARE, "a replica that repeats an old attestation gets ours of that seq")                         \
    X(STABLE_AHEAD, OFTEN, "a stable checkpoint is ahead of us")                                                       \
    X(STABLE_LEARNT_FROM_CORE, RARE, "a stable checkpoint is executed here that only view changes told of")            \
    X(STABLE_SHOWN_BY_CORE, OFTEN, "the core shows a stable checkpoint that no attestation told us of")                \
    /* transfer/ */                                                                                                    \
    X(TRANSFER_RESUMED, OFTEN, "a restart finds a transfer that was cut off between blocks and tail")                  \
    X(SERVED_NOTHING, OFTEN, "a source has nothing to give that can be proved")                                        \
    X(SERVED_LATER, RARE, "an asker has used up its quota, and its request waits")                                     \
    X(SERVED_LESS, RARE, "a piece ends before what it has room for, at a certified block")                             \
    X(TAIL_OF_CLOSED_BLOCK, OFTEN, "a tail is asked for whose block is closed by now")                                 \
    X(SYNC_BEFORE_STABLE, OFTEN, "a replica transfers to a state that is not stable yet")                              \
    X(SYNC_MISSING, OFTEN, "a source does not have what it is asked for")                                              \
    X(SYNC_OVERTAKEN, OFTEN, "the log brings a replica to the target of its transfer")                                 \
    X(SYNC_REFUSED, OFTEN, "a source gives something that does not verify")                                            \
    X(SYNC_SOURCE_LATE, OFTEN, "a source does not answer in time")                                                     \
    X(SYNC_SOURCE_TRIED_AGAIN, OFTEN, "a source that was slow is asked again after a rest")                            \
    X(SYNC_ASKED_TWICE, OFTEN, "a source is late with what is needed next, and another one is asked as well")          \
    X(SYNC_PIECE_SHORT, OFTEN, "a piece has fewer blocks than were asked for")                                         \
    X(SYNC_CERTIFICATE_LATER, RARE, "a piece proves its blocks with the certificate of a later one")                   \
    X(SYNC_TARGET_CHASED, OFTEN, "a newer target is followed behind the blocks of the old one")                        \
    X(TAIL_KEPT, OFTEN, "a transfer ends with a part of the open block")

REPLICA_MARKS(ORD_MARK_DECLARE)

#endif
