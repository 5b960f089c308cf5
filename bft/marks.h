/*
 * The coverage marks of the PBFT core (core/mark.h), by file.
 */
#ifndef ORDAIN_BFT_MARKS_H
#define ORDAIN_BFT_MARKS_H

#include "core/mark.h"

#define BFT_MARKS(X)                                                                                                   \
    /* adopt.c */                                                                                                      \
    X(ADOPTED_VOTES, OFTEN, "a certificate comes back for a batch that this replica has and did not prepare")          \
    X(ADOPTED_BATCH, RARE, "a certificate comes back for a batch that this replica lacks")                             \
    /* advance.c */                                                                                                    \
    X(DELIVER_BEHIND_GAP, OFTEN, "a missing seq is decided, and decided ones behind it are delivered with it")         \
    /* authenticate.c */                                                                                               \
    X(DOOR_OTHER_BODY, RARE, "a PRE-PREPARE has a digest that is not its batch's")                                     \
    X(DOOR_OTHER_SENDER, OFTEN, "a message names another sender than the link's owner, or comes from ourselves")       \
    /* body.c */                                                                                                       \
    X(BODY_NOT_WANTED, OFTEN, "a BODY comes that nobody waits for, and is not hashed")                                 \
    X(BODY_UNWANTED, RARE, "a BODY comes that is not the batch which is waited for")                                   \
    X(BODY_ADOPTED, OFTEN, "a new primary takes over the batch of another replica's certificate")                      \
    X(BODY_ADOPTED_FOR_LATER_VIEW, RARE, "a new primary drops a batch for one that was certified in a later view")     \
    X(BODY_OF_ENTRY, OFTEN, "a batch arrives that the installed view proposes again")                                  \
    /* checkpoint.c */                                                                                                 \
    X(STABLE_LATE, OFTEN, "the log reaches a point that was certified ahead of us")                                    \
    X(TARGET_NEXT, OFTEN, "the nearest certified point is reached, and a newer one is still ahead")                    \
    /* choose.c */                                                                                                     \
    X(CHOICE_LATER_VIEW, OFTEN, "two certificates are for one seq, and the one of the later view wins")                \
    X(CHOICE_BELOW_BASE, OFTEN, "a certificate lies at or below another replica's stable checkpoint")                  \
    /* commit.c */                                                                                                     \
    X(COMMIT_BEFORE_PREPARED, OFTEN, "a COMMIT comes for a batch that is not prepared here")                           \
    X(COMMIT_NOT_WANTED, OFTEN, "a COMMIT comes whose votes are all counted")                                          \
    X(COMMIT_CONTRADICTS, OFTEN, "a replica sends a second COMMIT, for another batch")                                 \
    /* entries.c */                                                                                                    \
    X(ENTRY_VOIDS_BATCH, OFTEN, "the NEW-VIEW has another batch for a seq than we kept")                               \
    X(ENTRY_VOIDS_CERTIFICATE, RARE, "the NEW-VIEW has another batch for a seq than our certificate")                  \
    X(ENTRY_AWAITS_BATCH, OFTEN, "the NEW-VIEW proposes a batch again that is missing here")                           \
    X(ENTRY_BEYOND_WINDOW, OFTEN, "the NEW-VIEW reaches beyond our window")                                            \
    /* failed.c */                                                                                                     \
    X(LEADER_FAILED_AGAIN, OFTEN, "a leader that failed lately fails again, and cost less than a timeout")             \
    X(LEADER_FAILED_WHOLE, RARE, "a leader that failed lately has the whole time again, and fails")                    \
    X(LEADER_DISPLACED, OFTEN, "f other leaders have failed since a leader failed")                                    \
    X(LEADER_FORGOTTEN, RARE, "a leader that failed lately completes enough terms")                                    \
    /* fetch.c */                                                                                                      \
    X(FETCH_PASSED, OFTEN, "state transfer passes the batches that were to be fetched")                                \
    X(FETCH_NEXT_PEER, OFTEN, "another peer is asked for a batch")                                                     \
    X(FETCH_TOO_SOON, RARE, "a peer asks for batches again too soon")                                                  \
    /* install.c */                                                                                                    \
    X(INSTALLED_BEHIND_BASE, OFTEN, "a view begins above what we have delivered")                                      \
    X(INSTALLED_VOIDS_ABOVE, OFTEN, "a certificate lies above everything that the NEW-VIEW proposes again")            \
    /* new_view.c */                                                                                                   \
    X(CHOICE_NULL, RARE, "a new primary proposes a null batch")                                                        \
    X(NEW_VIEW_OUT_OF_WINDOW, OFTEN, "a new primary proposes a seq again that lies outside its own window")            \
    X(NEW_VIEW_LACKS_BATCH, OFTEN, "a new primary waits for a batch")                                                  \
    X(NEW_VIEW_LACKS_CHANGE, OFTEN, "a NEW-VIEW waits for a VIEW-CHANGE that it names")                                \
    X(NEW_VIEW_ASKS, OFTEN, "the primary is asked at once for a VIEW-CHANGE that its NEW-VIEW names")                  \
    X(NEW_VIEW_REFUSED, RARE, "a NEW-VIEW does not follow from its view changes")                                      \
    X(NEW_VIEW_DUE_TAKEN, RARE, "the NEW-VIEW that is due replaces one of a later view")                               \
    X(NEW_VIEW_TWICE, RARE, "a primary sends two NEW-VIEWs for one view")                                              \
    X(CHANGE_DISTRUSTED, RARE, "a new primary leaves out a VIEW-CHANGE whose batches nobody gives")                    \
    X(CHANGE_TRUSTED_AGAIN, RARE, "a VIEW-CHANGE that was left out is needed after all")                               \
    X(CHANGE_NAMED_USED, OFTEN, "a view rests on a VIEW-CHANGE that was not its author's first one here")              \
    /* prepare.c */                                                                                                    \
    X(PREPARE_BY_PRIMARY, OFTEN, "the primary sends a PREPARE")                                                        \
    X(PREPARE_CONTRADICTS, OFTEN, "evidence: a backup sends two PREPAREs for one seq")                                 \
    X(PREPARE_NOT_WANTED, OFTEN, "a PREPARE comes whose votes are all counted, and is not checked")                    \
    X(PREPARE_OUT_OF_WINDOW, OFTEN, "a list of votes has one outside the window")                                      \
    /* propose.c */                                                                                                    \
    X(PRE_PREPARE_NOT_WANTED, OFTEN, "a PRE-PREPARE comes that is here, and is not checked")                           \
    X(PRE_PREPARE_USURPED, OFTEN, "a replica that is not the primary sends a PRE-PREPARE")                             \
    X(PRE_PREPARE_BELOW_BASE, RARE, "a PRE-PREPARE lies below the base of its view")                                   \
    X(PRE_PREPARE_NO_ROOM, RARE, "there is no room for the batch of a PRE-PREPARE")                                    \
    X(PRE_PREPARE_AFTER_VOTES, OFTEN, "a PRE-PREPARE comes after votes for its seq")                                   \
    X(JUDGED_INADMISSIBLE, RARE, "a batch is not admissible")                                                          \
    /* ratchet.c */                                                                                                    \
    X(COMMIT_WITHHELD, RARE, "f + 1 replicas committed to the next seq, and its primary did not")                      \
    X(WINDOW_LAGS, OFTEN, "a window ends in which this replica was behind for a while")                                \
    X(WORK_STALLS, RARE, "work waits for the primary alone for long, and then much is done at once")                   \
    X(WINDOW_SLOW, OFTEN, "envelopes wait much longer than in the best views")                                         \
    X(WINDOW_FAST_AGAIN, OFTEN, "a window is fast again after a slow one")                                             \
    X(WINDOW_GOES_ON, OFTEN, "a primary leads again, and its unfinished window goes on")                               \
    X(LOAD_OF_OTHER_SIZES, RARE, "few envelopes are executed but many bytes, or the other way round")                  \
    X(PRIMARY_SLOW, RARE, "two slow windows follow each other")                                                        \
    /* recall.c */                                                                                                     \
    X(RECALL_CERTIFICATES, OFTEN, "certificates are returned to a replica that asks")                                  \
    /* recover.c */                                                                                                    \
    X(RESTART_BATCH_ADOPTED, RARE, "restart: a batch that came with a returned certificate, and no own PREPARE")       \
    X(RESTART_BATCH_LOOSE, OFTEN, "restart: no certificate covers a batch of an earlier view")                         \
    X(RESTART_BATCH_VOID, RARE, "restart: a later view made a batch void")                                             \
    X(RESTART_CERTIFICATE_VOID, RARE, "restart: a later view made a certificate void")                                 \
    X(RESTART_NULL_CERTIFIED, RARE, "restart: there is a certificate of a null batch")                                 \
    X(RESTART_PREPARED, OFTEN, "restart: a batch is prepared, so its COMMIT stands")                                   \
    X(RESTART_IN_LATER_VIEW, OFTEN, "restart: a view above 0 is installed")                                            \
    X(RESTART_PROMISE, OFTEN, "restart: the VIEW-CHANGE is sent again")                                                \
    /* relay.c */                                                                                                      \
    X(PRE_PREPARE_RELAYED, OFTEN, "a replica that the primary left out gets a PRE-PREPARE from another one")           \
    X(NEWS_RELAYED, OFTEN, "another replica's VIEW-CHANGE or NEW-VIEW is passed on")                                   \
    X(CHANGE_ALONG, OFTEN, "a peer gets the VIEW-CHANGE of an author that it lacked before, with the NEW-VIEW")        \
    X(NEWS_TOO_SOON, OFTEN, "a peer needs news of the view again too soon")                                            \
    X(NEWS_EVIDENCE_AGAIN, OFTEN, "evidence is sent again to a replica that stays in the view")                        \
    /* retransmit.c */                                                                                                 \
    X(ANSWER_TOO_SOON, OFTEN, "a peer's STATUS comes too soon after the last answer")                                  \
    X(REPEATS_SPENT, RARE, "a peer has been sent so much again that it gets no more for now")                          \
    X(STATUS_OF_LATER_VIEW, OFTEN, "a STATUS is of a later view")                                                      \
    /* rotate.c */                                                                                                     \
    X(ROTATION_PASSES_OVER, RARE, "a view ends on schedule, and the turn of one that failed lately is passed over")    \
    /* suspect.c */                                                                                                    \
    X(SUSPECTS_ALONE, OFTEN, "a replica suspects the primary, but too few others do")                                  \
    X(SUSPICION_ADOPTED, OFTEN, "f + 1 others suspect the primary, so this replica does, too")                         \
    X(CONTENT_AGAIN, OFTEN, "a replica that suspected the primary is content again")                                   \
    X(VIEW_FAILED, OFTEN, "a view change had a quorum for a timeout, and no view was installed")                       \
    X(VIEW_FAILED_ALONE, OFTEN, "the same, and fewer than f + 1 say so")                                               \
    /* sync.c */                                                                                                       \
    X(TARGET_NEARER, RARE, "a certified point is nearer than the one that we knew")                                    \
    X(SYNC_BEYOND_WINDOW, OFTEN, "SYNC: the certified point lies beyond the window")                                   \
    X(SYNC_OVERDUE, OFTEN, "SYNC: the others did not bring us to the certified point in time")                         \
    X(SYNCED_INTO_WINDOW, OFTEN, "state transfer ends where the log goes on")                                          \
    X(SYNCED_ABOVE_STABLE, RARE, "state transfer ends above the stable checkpoint")                                    \
    /* view_change.c */                                                                                                \
    X(LEFT_WHILE_JUDGING, OFTEN, "a view is left while a batch is being judged")                                       \
    X(JOINED_FURTHER_VIEW, OFTEN, "f + 1 others are ahead by more than one view")                                      \
    X(FEW_AHEAD, OFTEN, "others are ahead, but too few to follow")                                                     \
    X(CHANGE_TWICE, OFTEN, "evidence: a replica sends two VIEW-CHANGEs for one view")                                  \
    X(CHANGE_NAMED_TAKEN, OFTEN, "the VIEW-CHANGE that a NEW-VIEW names comes after another one of its author")        \
    X(CHANGE_NAMED_SAVED, RARE, "the author of a VIEW-CHANGE that a NEW-VIEW names goes on before it is installed")    \
    /* view_message.c */                                                                                               \
    X(CHANGE_CERTIFICATE_FORGED, RARE, "a VIEW-CHANGE has a forged certificate")                                       \
    X(CHANGE_CHECKPOINT_FORGED, RARE, "a VIEW-CHANGE has a forged checkpoint")                                         \
    X(CHANGE_CHECKPOINT_OTHER, RARE, "a VIEW-CHANGE has the proof of another checkpoint")                              \
    /* witness.c */                                                                                                    \
    X(WITNESS_GIVEN, OFTEN, "a backup is told that the primary gave us another batch")                                 \
    X(WITNESS_CONVICTS, RARE, "another replica's witness convicts the primary")                                        \
    X(PRIMARY_CONTRADICTS, OFTEN, "evidence: the primary sends two batches for one seq")                               \
    X(EVIDENCE_TAKEN, OFTEN, "a view is left because of evidence that another replica passed on")

BFT_MARKS(ORD_MARK_DECLARE)

#endif
